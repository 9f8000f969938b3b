package gateway

import "sluice/mapping/failure"

// The kinds of failures whose lines are bounded together.
var (
	volatileLines     = lineKind{more: "more messages of QoS 0 were refused or dropped than are logged one by one"}
	publishLines      = lineKind{more: "more messages were refused than are logged one by one"}
	deliveryLines     = lineKind{more: "more messages were not delivered than are logged one by one"}
	filterLines       = lineKind{more: "more topic filters were refused than are logged one by one"}
	connectLines      = lineKind{more: "more connections were refused than are logged one by one"}
	endedConnectLines = lineKind{more: "more connections ended than are logged one by one"}
)

// linesOf says with which lines a failure is counted, and how many of them there are in a window at most. Zero: it is bounded elsewhere.
func linesOf(o *failure.Occurrence) (kind lineKind, most int) {
	switch {
	case o.Failure == failure.TooManyConnections || o.Failure == failure.ConnectRate || o.Failure == failure.MemoryShort:
		return lineKind{}, 0 // see admission.complaints
	case o.Failure.About == failure.Publish && o.QoS == 0:
		return volatileLines, refusalLines
	case o.Failure.About == failure.Publish:
		return publishLines, answeredLines
	case o.Failure.About == failure.Delivery:
		return deliveryLines, answeredLines
	case o.Failure.About == failure.Subscription:
		return filterLines, refusalLines
	case o.Failure.About == failure.Connect:
		return connectLines, refusalLines
	}
	return endedConnectLines, refusalLines
}
