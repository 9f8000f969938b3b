package explain

import (
	"fmt"
	"strings"

	"sluice/mapping/rules"
)

// Text is the explanation for people.
func (e *Explanation) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", e.Question)
	if e.Rule == nil {
		b.WriteString("no rule matches: the defaults hold\n")
	} else {
		fmt.Fprintf(&b, "rule %s\n", rules.Match{Number: e.Rule.Number, Name: e.Rule.Name})
		if e.Rule.OneWay != "" {
			fmt.Fprintf(&b, "  one way only: %s\n", e.Rule.OneWay)
		}
	}
	b.WriteString("\nthe AMQP message\n")
	for _, s := range e.Message {
		fmt.Fprintf(&b, "  %s\n", s.Name)
		writeFields(&b, "    ", s.Fields)
	}
	if len(e.Outcomes) > 0 {
		b.WriteString("\nwhat the bus answers, and what the device is told\n")
		fields := make([]Field, len(e.Outcomes))
		for i, o := range e.Outcomes {
			fields[i] = Field{Name: o.Bus, Value: o.Device}
		}
		writeFields(&b, "  ", fields)
	}
	e.writeDevice(&b)
	e.writeLosses(&b)
	return b.String()
}

func (e *Explanation) writeDevice(b *strings.Builder) {
	if e.Subscriber != "" {
		fmt.Fprintf(b, "\nwho gets it\n  %s\n", e.Subscriber)
	}
	if e.Device == nil {
		fmt.Fprintf(b, "\nno device can get it\n  %s\n", e.Refused)
		return
	}
	title := "what a device gets"
	if !e.Reached {
		title = "what a device would get, if the bus brought it the message"
	}
	fmt.Fprintf(b, "\n%s\n", title)
	fields := append([]Field{{Name: "Topic Name", Value: fmt.Sprintf("%q, by %s", e.Device.Topic, e.Device.FoundBy)}}, e.Device.Fields...)
	writeFields(b, "  ", fields)
}

func (e *Explanation) writeLosses(b *strings.Builder) {
	b.WriteString("\nwhat is lost\n")
	if len(e.Losses.Up)+len(e.Losses.Down) == 0 {
		b.WriteString("  nothing\n")
	}
	for _, l := range e.Losses.Up {
		fmt.Fprintf(b, "  to the bus      %s\n", l)
	}
	for _, l := range e.Losses.Down {
		fmt.Fprintf(b, "  to the device   %s\n", l)
	}
}

// writeFields writes names and values in two columns, with the types of AMQP behind.
func writeFields(b *strings.Builder, indent string, fields []Field) {
	width := 0
	for _, f := range fields {
		width = max(width, len([]rune(f.Name)))
	}
	for _, f := range fields {
		fmt.Fprintf(b, "%s%s%s  %s", indent, f.Name, strings.Repeat(" ", width-len([]rune(f.Name))), f.Value)
		if f.Type != "" {
			fmt.Fprintf(b, "  (%s)", f.Type)
		}
		b.WriteByte('\n')
	}
}
