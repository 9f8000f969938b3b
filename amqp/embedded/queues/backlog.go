package queues

import "container/heap"

// backlog holds the ready entries of a queue in the order of their positions.
//
// Entries are only ever taken from the front, so one that comes back is always older than every entry not yet taken. Hence two
// parts: those that came back, a heap by position, stand before those that were never taken, a plain queue.
type backlog struct {
	returned entryHeap
	fresh    []*entry
	head     int // first live index of fresh
	bytes    int64
}

func (b *backlog) len() int { return len(b.returned) + len(b.fresh) - b.head }

func (b *backlog) push(e *entry) {
	b.fresh = append(b.fresh, e)
	b.bytes += e.msg.Size()
}

func (b *backlog) putBack(e *entry) {
	heap.Push(&b.returned, e)
	b.bytes += e.msg.Size()
}

// front is the oldest entry, nil when there is none.
func (b *backlog) front() *entry {
	if len(b.returned) > 0 {
		return b.returned[0]
	}
	if b.head < len(b.fresh) {
		return b.fresh[b.head]
	}
	return nil
}

// pop takes the oldest entry; the backlog must not be empty.
func (b *backlog) pop() *entry {
	var e *entry
	if len(b.returned) > 0 {
		e = heap.Pop(&b.returned).(*entry)
	} else {
		e = b.fresh[b.head]
		b.fresh[b.head] = nil
		b.head++
		b.compact()
	}
	b.bytes -= e.msg.Size()
	return e
}

// compact gives memory back once the dead part is at least as long as the live one, so that each entry is moved a bounded number of times.
func (b *backlog) compact() {
	live := len(b.fresh) - b.head
	switch {
	case live == 0 && cap(b.fresh) > 1024:
		b.fresh, b.head = nil, 0
	case live == 0:
		b.fresh, b.head = b.fresh[:0], 0
	case b.head > 32 && b.head >= live:
		n := copy(b.fresh, b.fresh[b.head:])
		clear(b.fresh[n:])
		b.fresh, b.head = b.fresh[:n], 0
	}
}

// entryHeap orders entries by position.
type entryHeap []*entry

func (h entryHeap) Len() int           { return len(h) }
func (h entryHeap) Less(i, j int) bool { return h[i].seq < h[j].seq }
func (h entryHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *entryHeap) Push(x any)        { *h = append(*h, x.(*entry)) }
func (h *entryHeap) Pop() any {
	old := *h
	last := len(old) - 1
	e := old[last]
	old[last] = nil
	*h = old[:last]
	return e
}
