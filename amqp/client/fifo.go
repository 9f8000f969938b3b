package client

// fifo is a queue that reuses its memory. Its bound is its user's.
type fifo[T any] struct {
	items []T
	head  int // index of the oldest
}

// compactFrom is how many have to be taken out before the rest is moved to the front: below, it is not worth it.
const compactFrom = 256

func (q *fifo[T]) len() int { return len(q.items) - q.head }

func (q *fifo[T]) push(v T) { q.items = append(q.items, v) }

// at is the i-th oldest, to be read or changed before the next push or pop.
func (q *fifo[T]) at(i int) *T { return &q.items[q.head+i] }

// pop takes the oldest out; there must be one.
func (q *fifo[T]) pop() (v T) {
	var none T
	v, q.items[q.head] = q.items[q.head], none
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if q.head > compactFrom && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return v
}

// drain takes all out, with the memory.
func (q *fifo[T]) drain() []T {
	all := q.items[q.head:]
	q.items, q.head = nil, 0
	return all
}
