package frame

import "iter"

// SerialDiff is a minus b in serial number arithmetic.
func SerialDiff(a, b uint32) int32 { return int32(a - b) }

// SerialLess reports a before b in serial number arithmetic.
func SerialLess(a, b uint32) bool { return SerialDiff(a, b) < 0 }

// Within yields those ids of the range first..last (as in a disposition) that are also among the count consecutive ids that start at oldest.
func Within(first, last, oldest, count uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {}
}
