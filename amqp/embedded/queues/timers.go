package queues

import (
	"container/heap"
	"time"
)

// timers orders the queues that have something due, the earliest first.
type timers struct {
	heap    []*queue
	earlier func() // called when the earliest due time moves forward
}

// update takes over q.due.
func (t *timers) update(q *queue) {
	switch {
	case q.due.IsZero() && q.slot >= 0:
		heap.Remove(t, q.slot)
	case q.due.IsZero():
	case q.slot >= 0:
		heap.Fix(t, q.slot)
	default:
		heap.Push(t, q)
	}
	if q.slot == 0 && t.earlier != nil {
		t.earlier()
	}
}

func (t *timers) remove(q *queue) {
	q.due = time.Time{}
	t.update(q)
}

// next is the earliest due time, zero when nothing is due.
func (t *timers) next() time.Time {
	if len(t.heap) == 0 {
		return time.Time{}
	}
	return t.heap[0].due
}

func (t *timers) Len() int           { return len(t.heap) }
func (t *timers) Less(i, j int) bool { return t.heap[i].due.Before(t.heap[j].due) }
func (t *timers) Swap(i, j int) {
	t.heap[i], t.heap[j] = t.heap[j], t.heap[i]
	t.heap[i].slot, t.heap[j].slot = i, j
}
func (t *timers) Push(x any) {
	q := x.(*queue)
	q.slot = len(t.heap)
	t.heap = append(t.heap, q)
}
func (t *timers) Pop() any {
	last := len(t.heap) - 1
	q := t.heap[last]
	t.heap[last] = nil
	t.heap = t.heap[:last]
	q.slot = -1
	return q
}
