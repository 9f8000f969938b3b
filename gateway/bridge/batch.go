package bridge

import (
	"sluice/mapping"
	"sluice/mqtt/session"
)

// Batch is messages of the node lane that are handed out together, in their order. All devices share it, so it is not changed once it is handed out.
type Batch struct{ messages []fanned }

// fanned is a message, and the machine's event of it for each device but the one that published it.
type fanned struct {
	*mapping.DownlinkMessage
	arrived session.Event
}

// Add puts a message behind the others, and gives its number: the bit that stands for it in FanoutArrived.Which. It must not be changed any more. A batch
// takes up to BatchMax.
func (b *Batch) Add(m *mapping.DownlinkMessage) int {
	arrived := session.MessageArrived{Message: messageOf(m)}
	if m.For == "" {
		arrived.Message.Prepared = session.Prepare(&m.Publish)
	}
	b.messages = append(b.messages, fanned{m, arrived})
	return len(b.messages) - 1
}

// Len is how many messages there are.
func (b *Batch) Len() int { return len(b.messages) }

// Fanout is the event of a single message.
func Fanout(m *mapping.DownlinkMessage) FanoutArrived {
	b := &Batch{}
	return FanoutArrived{Batch: b, Which: 1 << b.Add(m)}
}

// arrivalOf gives the machine's event for this device.
func (b *Bridge) arrivalOf(f *fanned) session.Event {
	if !b.published(f.DownlinkMessage) {
		return f.arrived
	}
	return session.MessageArrived{Message: b.inbound(f.DownlinkMessage, false)}
}
