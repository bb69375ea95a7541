package entry

import (
	"fmt"
	"testing"
)

func TestQueueTakesTurns(t *testing.T) {
	q := newQueue[int](2)
	for i := range 4 {
		q.push("a", i)
	}
	q.push("b", 10)
	q.push("c", 20)
	var got []string
	next := func() {
		namespace, task, ok := q.pop()
		got = append(got, fmt.Sprint(namespace, task, ok))
	}
	for range 4 {
		next()
	}
	// a has two workers, as many as it may have; its other tasks wait.
	if q.len() != 2 || len(q.turns) != 0 {
		t.Errorf("%d tasks, turns %v", q.len(), q.turns)
	}
	q.push("d", 30)
	q.done("a")
	next()
	next()
	want := "[a0 true b10 true c20 true a1 true d30 true a2 true]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	for _, namespace := range []string{"a", "a", "b", "c", "d"} {
		q.done(namespace)
	}
	next()
	q.done("a")
	if len(q.busy)+len(q.tasks)+len(q.listed)+len(q.turns)+q.len() != 0 {
		t.Errorf("something is left: %+v", q)
	}
	q.close()
	if _, _, ok := q.pop(); ok {
		t.Error("a closed queue has tasks")
	}
}

// A queue that is closed ends the workers that wait, whatever is left.
func TestQueueCloses(t *testing.T) {
	q := newQueue[int](1)
	ended := make(chan bool)
	go func() {
		_, _, ok := q.pop()
		ended <- ok
	}()
	q.close()
	if <-ended {
		t.Error("there was no task")
	}
	q.push("a", 1)
	if _, _, ok := q.pop(); ok {
		t.Error("it is closed")
	}
}
