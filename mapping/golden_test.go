package mapping_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew instead of comparing with them")

// golden compares the text of each row with testdata/name.golden, where rows are led by "== title".
func golden(t *testing.T, name string, titles []string, row func(i int) string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	rows := make(map[string]string, len(titles))
	var all strings.Builder
	for i, title := range titles {
		if rows[title] != "" {
			t.Fatalf("two rows are called %q", title)
		}
		rows[title] = row(i)
		fmt.Fprintf(&all, "== %s\n%s\n", title, rows[title])
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./mapping -rewrite makes it)", err)
	}
	want := make(map[string]string)
	for _, section := range strings.Split(string(file), "== ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		want[title] = strings.TrimSuffix(body, "\n")
	}
	for _, title := range titles {
		t.Run(title, func(t *testing.T) {
			if diff := cmp.Diff(want[title], rows[title]); diff != "" {
				t.Errorf("(-golden +got):\n%s", diff)
			}
			delete(want, title)
		})
	}
	for title := range want {
		t.Errorf("the golden file has a row %q that no test makes", title)
	}
}

// page writes one line for each thing that is present.
type page struct{ strings.Builder }

func (p *page) line(name string, v any) { fmt.Fprintf(p, "%-40s %s\n", name, show(v)) }

func (p *page) text(name, s string) {
	if s != "" {
		p.line(name, s)
	}
}

func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case time.Time:
		return "timestamp " + v.Format("2006-01-02T15:04:05.000Z07:00")
	case []byte:
		return fmt.Sprintf("binary %q", v)
	case string:
		return fmt.Sprintf("%q", v)
	case message.Symbol:
		return fmt.Sprintf("symbol %q", string(v))
	case []any:
		items := make([]string, len(v))
		for i := range v {
			items[i] = show(v[i])
		}
		return "list [" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprintf("%T %v", v, v)
}

func showMessage(m *message.Message) string {
	var p page
	p.line("header durable", m.Header.Durable)
	p.line("header priority", m.Header.Priority)
	if m.Header.TTL != 0 {
		p.line("header ttl", m.Header.TTL.Milliseconds())
	}
	for _, key := range slices.Sorted(maps.Keys(m.Annotations)) {
		p.line("annotation "+key, m.Annotations[key])
	}
	p.line("message-id", m.Properties.MessageID)
	p.text("to", m.Properties.To)
	p.text("subject", m.Properties.Subject)
	p.text("reply-to", m.Properties.ReplyTo)
	if m.Properties.CorrelationID != nil {
		p.line("correlation-id", m.Properties.CorrelationID)
	}
	p.text("content-type", m.Properties.ContentType)
	p.text("content-encoding", m.Properties.ContentEncoding)
	p.text("group-id", m.Properties.GroupID)
	if !m.Properties.AbsoluteExpiry.IsZero() {
		p.line("absolute-expiry-time", m.Properties.AbsoluteExpiry)
	}
	p.line("creation-time", m.Properties.CreationTime)
	for _, key := range slices.Sorted(maps.Keys(m.ApplicationProperties)) {
		p.line(fmt.Sprintf("application-property %q", key), m.ApplicationProperties[key])
	}
	for _, data := range m.Data {
		p.line("data", data)
	}
	return p.String()
}

func showDownlink(d mapping.DownlinkMessage) string {
	var p page
	pub := d.Publish
	p.line("Topic Name", pub.Topic)
	p.line("QoS", pub.QoS)
	p.line("RETAIN", pub.Retain)
	p.line("Payload", pub.Payload)
	q := pub.Properties
	for _, property := range []struct {
		bit   packet.PropertySet
		name  string
		value any
	}{
		{packet.PropPayloadFormat, "Payload Format", q.PayloadFormat},
		{packet.PropMessageExpiry, "Message Expiry", q.MessageExpiry},
		{packet.PropContentType, "Content Type", q.ContentType},
		{packet.PropResponseTopic, "Response Topic", q.ResponseTopic},
		{packet.PropCorrelationData, "Correlation Data", q.CorrelationData},
	} {
		if q.Has(property.bit) {
			p.line(property.name, property.value)
		}
	}
	for _, u := range q.User {
		p.line(fmt.Sprintf("User Property %q", u.Key), u.Value)
	}
	p.line("identity", d.Identity)
	if d.Publisher != (mapping.Publisher{}) {
		p.line("publisher", fmt.Sprintf("%+v", d.Publisher))
	}
	if d.PossibleDuplicate {
		p.line("possible duplicate", true)
	}
	p.text("for", d.For)
	if d.Retained {
		p.line("copy of a retained message", true)
	}
	return p.String()
}

func showLosses(losses []mapping.Loss) string {
	var text strings.Builder
	for _, l := range losses {
		fmt.Fprintf(&text, "LOSS %s\n", l)
	}
	return text.String()
}
