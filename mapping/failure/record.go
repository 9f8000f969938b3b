package failure

import (
	"encoding/json"
	"time"
)

// ContentType is that of a record.
const ContentType = "application/json"

// record is the form on the error topic ($sluice/errors).
type record struct {
	Code      byte   `json:"code"`
	Name      string `json:"name"`
	Error     string `json:"error"`
	Message   string `json:"message"`
	Topic     string `json:"topic,omitempty"`
	PacketID  uint16 `json:"packet_id,omitempty"`
	MessageID string `json:"message_id,omitempty"`
	Trace     string `json:"trace"`
	Time      string `json:"time"`
}

// Record is the failure as it goes to the error topic: one line of JSON. A topic longer than recordTopic bytes is cut.
func (o *Occurrence) Record() []byte {
	b, err := json.Marshal(record{
		Code: byte(o.Code()), Name: o.Failure.Name, Error: o.Failure.Condition, Message: o.Message(), Topic: clip(o.Topic, recordTopic),
		PacketID: uint16(o.PacketID), MessageID: o.MessageID, Trace: o.Trace.String(), Time: o.At.UTC().Format(time.RFC3339Nano),
	})
	if err != nil {
		panic("failure: a struct of texts and numbers did not become JSON: " + err.Error())
	}
	return b
}

// clip cuts a text without cutting a character.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xC0 == 0x80 {
		most--
	}
	return s[:most] + "..."
}
