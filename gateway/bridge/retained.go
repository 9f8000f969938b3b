package bridge

import (
	"sluice/mapping/failure"
	"sluice/mqtt/session"
)

// A retained message is stored once the bus has taken it, and the device is answered when it is stored: so a refused message is never retained,
// and whoever publishes after an answer replaces what was retained before. Messages of one topic are stored in the order they were published:
// one waits for those before it that the bus has not answered, or the store. Were it stored while the one before it fails, the device would send that one
// again, and it would take the place of the later.

//
// At QoS 0 nobody waits for the store: were it away, the device's window would fill up, and with it its pings would go unanswered.

// taken: the bus has taken a message that is to be retained; its answer waits.
func (b *Bridge) taken(i int, answer session.PublishAnswered, out []Effect) []Effect {
	b.uplink.entries[i].answer = &answer
	return b.storeRetained(out)
}

// storeRetained has those stored that nothing before them holds back.
func (b *Bridge) storeRetained(out []Effect) []Effect {
	if b.uplink.retaining == 0 {
		return out
	}
	waiting := map[string]bool{}
	for _, e := range b.uplink.entries {
		if !e.retained() {
			continue
		}
		if !waiting[e.topic] && !e.storing && e.answer != nil {
			e.storing = true
			out = append(out, StoreRetained{Token: e.token, Packet: e.retain, Received: e.received})
		}
		waiting[e.topic] = true
	}
	return out
}

func (b *Bridge) retainedStored(ev RetainedStored, out []Effect) []Effect {
	if ev.Token == 0 && ev.Result != RetainedOK {
		return b.failed(&failure.Occurrence{Failure: failure.QoS0NotRetained, Topic: ev.Topic, Detail: ev.Detail}, out)
	}
	i := b.uplink.find(ev.Token)
	if i < 0 || !b.uplink.entries[i].storing {
		return out
	}
	e := b.uplink.entries[i]
	answer := *e.answer
	switch ev.Result {
	case RetainedRefused:
		answer, out = b.refusePublish(e, ev.Why, ev.Detail, out)
	case RetainedLost:
		// No answer: the device sends it again.
		b.tell(CloseFor(failure.StoreUnavailable))
		return out
	}
	b.uplink.remove(i)
	out = append(out, Report{Kind: PublishAnswered, Topic: e.topic, QoS: e.qos, Reason: answer.Reason})
	b.tell(answer)
	return b.storeRetained(out) // what waited for this one
}
