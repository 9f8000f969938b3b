package failure

import (
	"fmt"
	"strings"

	"sluice/mqtt/packet"
)

// The generated part of docs/errors.md is between these two lines.
const (
	DocumentBegin = "<!-- made by make docs from mapping/failure: begin -->\n"
	DocumentEnd   = "<!-- made by make docs from mapping/failure: end -->\n"
)

// Document renders the catalogue: what ends a connection, and what does not.
func Document() string {
	var b strings.Builder
	for _, part := range []struct {
		title string
		about []About
	}{
		{"## What ends a connection", []About{Connect, Connection}},
		{"## What only fails a message or a subscription", []About{Publish, Subscription, Delivery}},
	} {
		fmt.Fprintf(&b, "%s\n", part.title)
		for _, a := range part.about {
			fmt.Fprintf(&b, "\n### %s\n\n| name | MQTT 5 | MQTT 3.1.1 | `sluice-error` | what the device reads |\n|---|---|---|---|---|\n", headings[a])
			for _, f := range all {
				if f.About == a {
					fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` | %s |\n", f.Name, f.codesText(), f.v311Text(), f.Condition, f.Sentence)
				}
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

var headings = map[About]string{
	Connect:      "The connection does not come about",
	Connection:   "An open connection ends, or CONNECT is refused for the same reason",
	Publish:      "A message of the device is refused",
	Subscription: "A topic filter is refused",
	Delivery:     "A message for the device is not delivered",
}

func (f *Failure) codesText() string {
	if f.Only311 {
		return "does not happen"
	}
	if len(f.Codes) == 0 {
		if f.Fatal() {
			return "closed"
		}
		return "error topic"
	}
	texts := make([]string, len(f.Codes))
	for i, c := range f.Codes {
		texts[i] = fmt.Sprintf("%s 0x%02X", c.In, byte(c.Reason))
	}
	return strings.Join(texts, ", ")
}

func (f *Failure) v311Text() string {
	switch f.V311 {
	case ReturnCode:
		return fmt.Sprintf("CONNACK %d", f.Reason().ConnackReturnCode())
	case Closed:
		if r, ok := f.In(packet.CONNACK); ok && !silent[r] {
			return fmt.Sprintf("closed; for CONNECT, CONNACK %d", r.ConnackReturnCode())
		}
		return "closed"
	case ByRule:
		return "`on_error` of the rule"
	case Suback:
		return "SUBACK 0x80"
	case TopicOnly:
		return "error topic"
	}
	return "does not happen"
}

// silent are the codes for which 3.1.1 gets no CONNACK: its return codes cannot say that CONNECT breaks the protocol [3.1.1 MQTT-3.1.4-1].
var silent = map[packet.ReasonCode]bool{
	packet.MalformedPacket: true, packet.ProtocolError: true, packet.PacketTooLarge: true, packet.TopicNameInvalid: true,
}
