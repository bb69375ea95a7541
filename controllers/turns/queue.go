// Package turns shares workers between namespaces.
package turns

import "sync"

// Queue hands out tasks to workers, one namespace after the other, so that the tasks of one do not
// hold up another's. It is safe for concurrent use.
type Queue[T any] struct {
	// limit is how many workers one namespace may keep busy.
	limit int

	mu      sync.Mutex
	changed *sync.Cond
	// turns are the namespaces that may have a worker, in the order of their turns, and listed
	// has the same ones.
	turns  []string
	listed map[string]bool
	// tasks and busy are the tasks and the number of busy workers, by namespace.
	tasks  map[string][]T
	busy   map[string]int
	length int
	closed bool
}

// New returns a queue in which one namespace may keep up to limit workers busy, but always one.
func New[T any](limit int) *Queue[T] {
	q := &Queue[T]{limit: max(1, limit), listed: map[string]bool{}, tasks: map[string][]T{}, busy: map[string]int{}}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// Push adds a task of a namespace. It never blocks.
func (q *Queue[T]) Push(namespace string, task T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tasks[namespace] = append(q.tasks[namespace], task)
	q.length++
	q.list(namespace)
}

// list queues a namespace after all others, if it has tasks and may have a worker.
func (q *Queue[T]) list(namespace string) {
	if len(q.tasks[namespace]) == 0 || q.busy[namespace] >= q.limit || q.listed[namespace] {
		return
	}
	q.turns = append(q.turns, namespace)
	q.listed[namespace] = true
	q.changed.Signal()
}

// Pop waits for a task; ok is false when the queue is closed. The worker must call Done.
func (q *Queue[T]) Pop() (namespace string, task T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.turns) == 0 && !q.closed {
		q.changed.Wait()
	}
	if q.closed {
		return "", task, false
	}
	namespace = q.turns[0]
	q.turns = q.turns[1:]
	delete(q.listed, namespace)
	tasks := q.tasks[namespace]
	tasks[0], task = task, tasks[0] // the slice must not keep a password
	if q.tasks[namespace] = tasks[1:]; len(tasks) == 1 {
		delete(q.tasks, namespace)
	}
	q.busy[namespace]++
	q.length--
	q.list(namespace)
	return namespace, task, true
}

// Done ends what Pop began.
func (q *Queue[T]) Done(namespace string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy[namespace]--; q.busy[namespace] == 0 {
		delete(q.busy, namespace)
	}
	// Only now is it listed again: tasks that came in the meantime are first.
	q.list(namespace)
}

// Close ends the workers, even if tasks are left.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
}

// Len returns how many tasks wait.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.length
}
