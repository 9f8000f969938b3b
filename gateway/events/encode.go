package events

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/amqp/message"
)

// ContentType is that of a structured CloudEvent (CloudEvents AMQP Protocol Binding 1.0, 3.2).
const ContentType = "application/cloudevents+json; charset=utf-8"

// document is a CloudEvent (CloudEvents 1.0.2, 3; JSON format, 3.1). The attributes are in the order a person reads them.
type document struct {
	SpecVersion string `json:"specversion"`
	Type        Type   `json:"type"`
	ID          string `json:"id"`
	Source      string `json:"source"`
	Time        string `json:"time"`
	Subject     string `json:"subject,omitempty"`
	TraceParent string `json:"traceparent,omitempty"` // the Distributed Tracing extension
	ContentType string `json:"datacontenttype"`
	Data        data   `json:"data"`
}

// data adds what JSON's omitempty cannot tell from zero.
type data struct {
	*Event
	QoS        *uint8 `json:"qos,omitempty"`
	Reason     *uint8 `json:"reason_code,omitempty"`
	ReasonName string `json:"reason,omitempty"`
}

// Encode makes the message of an event for the address to. node and id name it for ever: no other event may have both.
func Encode(e *Event, node, id, to string) *message.Message {
	d := document{
		SpecVersion: "1.0",
		Type:        e.Type,
		ID:          id,
		Source:      "/sluice/nodes/" + node,
		Time:        e.Time.UTC().Format(time.RFC3339Nano),
		Subject:     clean(e.Client),
		TraceParent: traceParent(e.Trace, id),
		ContentType: "application/json",
		Data:        data{Event: e},
	}
	if e.HasQoS {
		d.Data.QoS = &e.QoS
	}
	if e.HasReason {
		code := uint8(e.Reason)
		d.Data.Reason, d.Data.ReasonName = &code, e.Reason.String()
	}
	body, err := json.Marshal(&d)
	if err != nil {
		// Strings, numbers and maps of them: there is nothing in it that JSON has no form for.
		panic("events: " + err.Error())
	}
	created := e.Time.Truncate(time.Millisecond)
	return &message.Message{
		Header: message.Header{Durable: true, Priority: message.DefaultPriority, TTL: Life},
		Properties: message.Properties{
			MessageID: id, To: to, Subject: string(e.Type), ContentType: ContentType, CreationTime: created, AbsoluteExpiry: created.Add(Life),
		},
		Data: [][]byte{body},
	}
}

// clean keeps a text from a device legal as an attribute: CloudEvents has Unicode without control characters (1.0.2, 3.1).
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7F && r <= 0x9F || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}

// traceParent is the W3C header of a trace: the event is a span of it. Empty for what is no trace id (W3C Trace Context, 2.2.3).
func traceParent(trace, id string) string {
	if len(trace) != 32 || strings.Trim(trace, "0123456789abcdef") != "" || strings.Trim(trace, "0") == "" {
		return ""
	}
	span := sha256.Sum256([]byte(id))
	span[0] |= 1 // all zeros would be invalid
	return "00-" + trace + "-" + hex.EncodeToString(span[:8]) + "-01"
}
