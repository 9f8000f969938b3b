package bridge

import (
	"time"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mapping/failure"
	"sluice/mapping/rules"
	"sluice/mqtt/packet"
	"sluice/mqtt/session"
)

// failures tells what fails, each failure once: the device by what the machine adds to its answer and by a record on the error topic, all others by
// the effect Failed.
type failures struct {
	traces  failure.Traces
	now     time.Time // of the step under way
	pending []Failed  // found by the machine in the step under way

	subscribed bool // to the error topic
	kept       bool // at QoS 1: records go to the session's inbox
}

// CloseFor asks the machine to end the connection because of a failure.
func CloseFor(f *failure.Failure) session.CloseRequested {
	return session.CloseRequested{Reason: f.Reason(), Text: f.Sentence, Cause: f.Name}
}

// RefuseSession answers session.OpenSession with a failure. The detail is for the operator; the device does not get it.
func RefuseSession(f *failure.Failure, detail string) session.SessionRefused {
	reason, ok := f.In(packet.CONNACK)
	if !ok {
		reason = packet.ServerUnavailable
	}
	return session.SessionRefused{Reason: reason, Text: f.Sentence, Cause: f.Name, Detail: detail}
}

// FailAuthentication answers session.Authenticate with a failure. The detail is for the operator; the device does not get it.
func FailAuthentication(f *failure.Failure, detail string) session.AuthFailed {
	return session.AuthFailed{Reason: f.Reason(), Text: f.Sentence, Cause: f.Name, Detail: detail}
}

// explain is session.Hooks.Explain: it finds the row of a failure that the machine is about to tell.
func (b *Bridge) explain(f session.Failure) session.Explanation {
	o := failure.Occurrence{Trace: b.failures.traces.Next(), Reason: f.Reason, Detail: f.Detail, Topic: f.Filter, PacketID: f.ID}
	switch named := failure.Named(f.Cause); {
	case named != nil:
		o.Failure, o.Text = named, f.Text
		if b.meter.excess != nil && b.meter.excess.Failure == named {
			o.Text = b.meter.excess.Text
		}
	case f.Filter != "":
		o.Failure = failure.OfFilter(f.Reason)
	default:
		// The machine names the field and the rule, never what was in it.
		o.Failure, o.Text = failure.OfProtocol(f.Reason, f.Clause), f.Text
	}
	b.whyRefused(&o)
	x := session.Explanation{Text: o.Message(), User: o.Properties()}
	b.failures.pending = append(b.failures.pending, b.occurred(&o))
	if b.failures.subscribed && !b.failures.kept {
		x.Record = record(&o)
	}
	return x
}

// KeepsRecords reports whether the device wants the records of its failures in its session's inbox.
func (b *Bridge) KeepsRecords() bool { return b.failures.kept }

// occurred is the effect that tells a failure.
func (b *Bridge) occurred(o *failure.Occurrence) Failed {
	o.At = b.failures.now
	return Failed{Occurrence: *o, Keep: b.failures.kept}
}

// failed tells a failure that no packet tells.
func (b *Bridge) failed(o *failure.Occurrence, out []Effect) []Effect {
	if o.Trace == (failure.Trace{}) {
		o.Trace = b.failures.traces.Next()
	}
	return b.tellDevice(b.occurred(o), out)
}

// tellDevice gives a device that subscribes to the error topic at QoS 0 its record; Keep does it for one of QoS 1.
func (b *Bridge) tellDevice(f Failed, out []Effect) []Effect {
	if b.failures.subscribed && !b.failures.kept {
		b.tell(session.ErrorRecord{Publish: record(&f.Occurrence)})
	}
	return append(out, f)
}

// record is the failure as a device with a subscription of the error topic gets it.
func record(o *failure.Occurrence) *packet.Publish {
	p := &packet.Publish{Topic: session.ErrorTopic, Payload: o.Record()}
	p.Properties.SetContentType(failure.ContentType)
	p.Properties.SetPayloadFormat(1)
	return p
}

// refusePublish makes the answer to a PUBLISH that is refused for good, as the rule's policy wants it.
func (b *Bridge) refusePublish(e *upEntry, f *failure.Failure, detail string, out []Effect) (session.PublishAnswered, []Effect) {
	o := failure.Occurrence{
		Failure: f, Trace: b.traceOf(e.span, e.message), Detail: detail,
		Topic: e.topic, QoS: e.qos, PacketID: e.id, MessageID: mapping.IDText(e.message.Properties.MessageID), Rule: e.match.Name, Text: e.text,
		Formerly: e.formerly,
	}
	if e.refusal != nil {
		o.Trace = e.refusal.Trace // the quarantine did not take it either
	}
	told := session.PublishAnswered{Token: e.token, Reason: f.Reason(), Text: o.Message(), User: o.Properties()}
	if b.machine.Version() == packet.V311 && e.match.OnError == rules.Report && b.failures.subscribed {
		fd := b.occurred(&o)
		fd.Keep = false // it is on the wire ahead of the acknowledgement
		told.Report = record(&fd.Occurrence)
		return told, append(out, fd)
	}
	return told, b.failed(&o, out)
}

// isRecord reports whether a message of the session lane is the record of a failure.
func isRecord(m *message.Message) bool { return m != nil && mapping.IsFor(m, session.ErrorTopic) }

// subscription follows what the device subscribes to.
func (f *failures) subscription(filter string, qos packet.QoS) {
	if filter == session.ErrorTopic {
		f.subscribed, f.kept = true, qos > 0
	}
}
