package mapping_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/format"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

// carrier is a message as the CloudEvents SDK writes and reads it: a media type, named attributes, data. The SDK's own modules for AMQP and MQTT are made
// for versions of the client libraries that are not ours; what they do beyond this is to put it into those libraries' structs, with these prefixes:
// "cloudEvents:" (protocol/amqp), "ce-" (protocol/mqtt_paho; the binding says none).
type carrier struct {
	prefix     string
	strings    bool // attributes have no other types: MQTT
	media      string
	attributes map[string]any
	data       []byte
}

var (
	_ binding.BinaryWriter     = (*carrier)(nil)
	_ binding.StructuredWriter = (*carrier)(nil)
	_ binding.Message          = (*carrier)(nil)
)

func (c *carrier) Start(context.Context) error { c.attributes = make(map[string]any); return nil }
func (c *carrier) End(context.Context) error   { return nil }
func (c *carrier) Finish(error) error          { return nil }

func (c *carrier) SetStructuredEvent(_ context.Context, f format.Format, r io.Reader) (err error) {
	c.media = f.MediaType()
	return c.SetData(r)
}

func (c *carrier) SetData(r io.Reader) (err error) {
	c.data, err = io.ReadAll(r)
	return err
}

func (c *carrier) SetAttribute(a spec.Attribute, v any) (err error) {
	if a.Kind() == spec.DataContentType {
		c.media, err = types.Format(v)
		return err
	}
	return c.SetExtension(a.Name(), v)
}

func (c *carrier) SetExtension(name string, v any) (err error) {
	switch t := v.(type) {
	case types.Timestamp:
		v = t.Time
	case types.URI, types.URIRef, *types.URI, *types.URIRef, url.URL:
		v, err = types.Format(v)
	}
	if c.strings && err == nil {
		v, err = types.Format(v)
	}
	c.attributes[c.prefix+name] = v
	return err
}

func (c *carrier) version() spec.Version {
	version, _ := c.attributes[c.prefix+"specversion"].(string)
	return spec.WithPrefix(c.prefix).Version(version)
}

func (c *carrier) ReadEncoding() binding.Encoding {
	switch {
	case format.IsFormat(c.media):
		return binding.EncodingStructured
	case c.version() != nil:
		return binding.EncodingBinary
	}
	return binding.EncodingUnknown
}

func (c *carrier) ReadStructured(ctx context.Context, w binding.StructuredWriter) error {
	if c.ReadEncoding() != binding.EncodingStructured {
		return binding.ErrNotStructured
	}
	return w.SetStructuredEvent(ctx, format.Lookup(c.media), bytes.NewReader(c.data))
}

func (c *carrier) ReadBinary(_ context.Context, w binding.BinaryWriter) error {
	version := c.version()
	if c.ReadEncoding() != binding.EncodingBinary {
		return binding.ErrNotBinary
	}
	if c.media != "" {
		if err := w.SetAttribute(version.AttributeFromKind(spec.DataContentType), c.media); err != nil {
			return err
		}
	}
	for key, value := range c.attributes {
		name, ok := strings.CutPrefix(key, c.prefix)
		if !ok {
			continue
		}
		var err error
		if a := version.Attribute(key); a != nil {
			err = w.SetAttribute(a, value)
		} else {
			err = w.SetExtension(name, value)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return w.SetData(bytes.NewReader(c.data))
}

// GetAttribute and GetExtension are what the SDK reads single attributes by.
func (c *carrier) GetAttribute(k spec.Kind) (spec.Attribute, any) {
	a := c.version().AttributeFromKind(k)
	if k == spec.DataContentType {
		return a, c.media
	}
	return a, c.attributes[a.PrefixedName()]
}

func (c *carrier) GetExtension(name string) any { return c.attributes[c.prefix+name] }

// write has the SDK write an event.
func (c *carrier) write(t *testing.T, e *event.Event, structured bool) *carrier {
	t.Helper()
	ctx := binding.WithForceBinary(context.Background())
	if structured {
		ctx = binding.WithForceStructured(context.Background())
	}
	if _, err := binding.Write(ctx, binding.ToMessage(e), c, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// read has the SDK read the event, every attribute as text: MQTT has no other types.
func (c *carrier) read(t *testing.T) map[string]string {
	t.Helper()
	e, err := binding.ToEvent(context.Background(), c)
	if err != nil {
		t.Fatalf("the SDK reads no event of %+v: %v", c, err)
	}
	if err := e.Validate(); err != nil {
		t.Errorf("the event is not valid: %v", err)
	}
	all := map[string]string{
		"specversion": e.SpecVersion(), "id": e.ID(), "source": e.Source(), "type": e.Type(), "subject": e.Subject(), "dataschema": e.DataSchema(),
		"datacontenttype": e.DataContentType(), "time": e.Time().UTC().Format(time.RFC3339Nano), "data": string(e.Data()),
	}
	for name, value := range e.Extensions() {
		if all[name], err = types.Format(value); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func (c *carrier) publish() *packet.Publish {
	p := &packet.Publish{Topic: "plant/7", QoS: 1, Payload: c.data}
	if c.media != "" {
		p.Properties.SetContentType(c.media)
	}
	for _, key := range slices.Sorted(maps.Keys(c.attributes)) {
		p.Properties.AddUser(key, c.attributes[key].(string))
	}
	return p
}

func ofPublish(prefix string, p *packet.Publish) *carrier {
	c := &carrier{prefix: prefix, strings: true, media: p.Properties.ContentType, data: p.Payload, attributes: make(map[string]any)}
	for _, u := range p.Properties.User {
		if !strings.HasPrefix(u.Key, "sluice-") {
			c.attributes[u.Key] = u.Value
		}
	}
	return c
}

func (c *carrier) message() *message.Message {
	m := backend(nil)
	m.Properties.ContentType, m.Data, m.ApplicationProperties = c.media, [][]byte{c.data}, c.attributes
	return m
}

func ofMessage(prefix string, m *message.Message) *carrier {
	return &carrier{prefix: prefix, media: m.Properties.ContentType, data: m.Data[0], attributes: m.ApplicationProperties}
}

func someEvent(t *testing.T) *event.Event {
	t.Helper()
	e := event.New()
	e.SetID("A-1")
	e.SetSource("/plant/7?x=ü")
	e.SetType("com.example.reading")
	e.SetSubject("temp")
	e.SetTime(time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC))
	e.SetDataSchema("https://example.com/schema")
	e.SetExtension("site", "hall 7")
	e.SetExtension("count", int32(-5))
	e.SetExtension("valid", true)
	e.SetExtension("raw", []byte{0, 0xff})
	if err := e.SetData("application/json", map[string]any{"c": 21.5}); err != nil {
		t.Fatal(err)
	}
	return &e
}

// An event that the SDK writes on the one side is the same event for the SDK on the other, in either mode, with either side's prefixes, and wherever
// marks are; and it comes back to MQTT as it was sent.
func TestCloudEventsOfTheSDK(t *testing.T) {
	for _, mode := range []string{"binary", "structured"} {
		for _, mqtt := range []string{"", mapping.EventDashed} {
			for _, amqp := range []string{mapping.EventColon, mapping.EventUnderscore} {
				for _, marks := range []mapping.MarksIn{mapping.MarksInAnnotations, mapping.MarksInProperties} {
					form := mapping.Form{Marks: marks, Events: mapping.CloudEvents{MQTT: mqtt, AMQP: amqp}}
					t.Run(fmt.Sprintf("%s %+v", mode, form), func(t *testing.T) { eventBothWays(t, mode == "structured", form) })
				}
			}
		}
	}
}

func eventBothWays(t *testing.T, structured bool, form mapping.Form) {
	dialect := mapping.RabbitMQ.WithForm(form)
	sent := someEvent(t)
	want := (&carrier{}).write(t, sent, false).read(t)

	up := (&carrier{prefix: form.Events.MQTT, strings: true}).write(t, sent, structured).publish()
	m, losses := mapping.Uplink(mapping.UplinkMessage{Dialect: dialect, Publish: up, From: device, MessageID: "1", Received: noon})
	if losses != nil {
		t.Errorf("up: %v", losses)
	}
	if diff := cmp.Diff(want, ofMessage(form.Events.AMQP, m).read(t)); diff != "" {
		t.Errorf("up (-sent +the backend's):\n%s", diff)
	}
	back, losses, err := mapping.Downlink(m, mapping.DownlinkOptions{Dialect: dialect, Now: noon})
	if err != nil || losses != nil {
		t.Error(losses, err)
	}
	if diff := cmp.Diff(up, &back.Publish, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("up and down again (-sent +received):\n%s", diff)
	}

	down := (&carrier{prefix: form.Events.AMQP}).write(t, sent, structured).message()
	d, losses, err := mapping.Downlink(down, mapping.DownlinkOptions{Dialect: dialect, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range losses {
		if l.Reason != mapping.ReasonType {
			t.Errorf("down: %v", l)
		}
	}
	if diff := cmp.Diff(want, ofPublish(form.Events.MQTT, &d.Publish).read(t)); diff != "" {
		t.Errorf("down (-sent +the device's):\n%s", diff)
	}
}
