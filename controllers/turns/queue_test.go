package turns

import (
	"fmt"
	"testing"
)

func TestQueueTakesTurns(t *testing.T) {
	q := New[int](2)
	for i := range 4 {
		q.Push("a", i)
	}
	q.Push("b", 10)
	q.Push("c", 20)
	var got []string
	next := func() {
		namespace, task, ok := q.Pop()
		got = append(got, fmt.Sprint(namespace, task, ok))
	}
	for range 4 {
		next()
	}
	// a has two workers, its maximum; its other tasks wait.
	if q.Len() != 2 || len(q.turns) != 0 {
		t.Errorf("%d tasks, turns %v", q.Len(), q.turns)
	}
	q.Push("d", 30)
	q.Done("a")
	next()
	next()
	want := "[a0 true b10 true c20 true a1 true d30 true a2 true]"
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	for _, namespace := range []string{"a", "a", "b", "c", "d"} {
		q.Done(namespace)
	}
	next()
	q.Done("a")
	if len(q.busy)+len(q.tasks)+len(q.listed)+len(q.turns)+q.Len() != 0 {
		t.Errorf("something is left: %+v", q)
	}
	q.Close()
	if _, _, ok := q.Pop(); ok {
		t.Error("a closed queue has tasks")
	}
}

// Closing a queue ends its waiting workers, whatever is left.
func TestQueueCloses(t *testing.T) {
	q := New[int](1)
	ended := make(chan bool)
	go func() {
		_, _, ok := q.Pop()
		ended <- ok
	}()
	q.Close()
	if <-ended {
		t.Error("there was no task")
	}
	q.Push("a", 1)
	if _, _, ok := q.Pop(); ok {
		t.Error("it is closed")
	}
}
