package frame

import "iter"

// Delivery-ids and transfer-ids are serial numbers [AMQP 2.8.8, RFC 1982]: they wrap at 2^32, and of two of them the one is before the
// other that reaches it in fewer than 2^31 steps. Two that are 2^31 apart have no order; SerialLess then calls each before the other.

// SerialDiff is a minus b: how many steps a is ahead of b.
func SerialDiff(a, b uint32) int32 { return int32(a - b) }

// SerialLess reports a before b.
func SerialLess(a, b uint32) bool { return SerialDiff(a, b) < 0 }

// Within yields, in order, those ids of the range first..last that are also among the count consecutive ids that start at oldest. It takes
// as many steps as it yields: the range comes from a peer, who may name all 2^32 ids, and an inclusive loop up to 2^32-1 would never end;
// the window of ids is ours. A range whose last is before its first is empty.
func Within(first, last, oldest, count uint32) iter.Seq[uint32] {
	start, n := Overlap(first, last, oldest, count)
	return func(yield func(uint32) bool) {
		for i := range n {
			if !yield(start + i) {
				return
			}
		}
	}
}

// Overlap gives what Within yields: n consecutive ids from start.
func Overlap(first, last, oldest, count uint32) (start, n uint32) {
	if SerialLess(last, first) {
		return 0, 0
	}
	// All is measured from oldest, where 64 bits neither wrap nor overflow.
	from := int64(SerialDiff(first, oldest))
	to := from + int64(last-first) + 1
	from, to = max(from, 0), min(to, int64(count))
	if from >= to {
		return 0, 0
	}
	return oldest + uint32(from), uint32(to - from)
}
