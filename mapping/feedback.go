package mapping

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"sluice/amqp/message"
)

// FeedbackSubject is the subject of a Feedback: by it a backend tells one from the answer that it expects.
const FeedbackSubject = "sluice.delivery.refused"

// feedbackLife is how long a feedback waits for who asked for it: a request whose answer is a day late is a request forgotten.
const feedbackLife = 24 * time.Hour

// feedback is the body of a Feedback. Its names are a contract with backends (docs/events.md), the same as on the device's error topic.
type feedback struct {
	Code       byte                `json:"code"`
	Name       string              `json:"name"`
	Error      string              `json:"error"`
	Message    string              `json:"message"`
	Topic      string              `json:"topic,omitempty"`
	Client     string              `json:"client,omitempty"`
	MessageID  string              `json:"message_id,omitempty"`
	Quarantine string              `json:"quarantine_id,omitempty"`
	Trace      string              `json:"trace"`
	Time       string              `json:"time"`
	User       map[string][]string `json:"user_properties,omitempty"`
}

// Feedback tells the sender of a message that it was refused, at the address that the message has as reply-to. It is nil for a message that has none, or
// none on this bus, and for one of a device: a device is told in its own way. The correlation-id is that of the message, else its message-id,
// as an answer's would be. quarantined says that a copy is in the quarantine under r.ID.
func (d Dialect) Feedback(m *message.Message, r *Refusal, quarantined bool) *message.Message {
	if _, ok := d.ParseAddress(m.Properties.ReplyTo); !ok || markOf(m, AnnotationClient) != nil {
		return nil
	}
	f := feedback{
		Code: byte(r.Code()), Name: r.Failure.Name, Error: r.Failure.Condition, Message: r.Message(), Topic: r.Topic, Client: r.Device.ClientID,
		MessageID: r.MessageID, Trace: r.Trace.String(), Time: r.At.UTC().Format(time.RFC3339Nano), User: r.UserProperties(),
	}
	if quarantined {
		f.Quarantine = r.ID
	}
	body, err := json.Marshal(&f)
	if err != nil {
		panic("mapping: texts and numbers did not become JSON: " + err.Error())
	}
	correlation := m.Properties.CorrelationID
	if correlation == nil {
		correlation = m.Properties.MessageID
	}
	created := r.At.Truncate(time.Millisecond)
	return &message.Message{
		Header: message.Header{Durable: true, Priority: message.DefaultPriority, TTL: feedbackLife},
		Properties: message.Properties{
			MessageID: "refusal-" + r.ID, To: m.Properties.ReplyTo, Subject: FeedbackSubject, CorrelationID: correlation,
			ContentType: "application/json", CreationTime: created, AbsoluteExpiry: created.Add(feedbackLife),
		},
		ApplicationProperties: map[string]any{"sluice-error": f.Error, "sluice-reason-code": int32(f.Code), "sluice-trace": f.Trace},
		Data:                  [][]byte{body},
	}
}

// UserProperties are the device's as a map of lists, since a name may come several times; nil for none.
func (r *Refusal) UserProperties() map[string][]string {
	if len(r.User) == 0 {
		return nil
	}
	user := make(map[string][]string, len(r.User))
	for _, u := range r.User {
		user[u.Key] = append(user[u.Key], u.Value)
	}
	return user
}

// IDText is a message-id or correlation-id as text, empty for nil. Binary that is text for people is that text.
func IDText(id any) string {
	if b, ok := id.([]byte); ok && utf8.Valid(b) {
		return string(b)
	}
	text, _, _ := canonical(id)
	return text
}
