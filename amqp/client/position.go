package client

import (
	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp/message"
	"sluice/amqp/topology"
)

// The log of a hub is read from a position. A receiver begins at the end, and after a loss of its link goes on behind what it has seen.
const (
	selectorFilter   = "apache.org:selector-filter:string"
	annotationOffset = "x-opt-offset"
	offsetLatest     = "@latest"
)

// position is the filter to attach with, none where there is no log.
func (r *receiver) position() []goamqp.LinkFilter {
	if r.client.options.Kind != topology.EventHubs {
		return nil
	}
	return []goamqp.LinkFilter{goamqp.NewSelectorFilter("amqp.annotation." + annotationOffset + " > '" + orDefault(r.offset, offsetLatest) + "'")}
}

// passed notes how far the receiver has come.
func (r *receiver) passed(m *message.Message) {
	if r.client.options.Kind != topology.EventHubs {
		return
	}
	if offset, ok := m.Annotations[annotationOffset].(string); ok {
		r.offset = offset
	}
}
