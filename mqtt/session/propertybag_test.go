package session

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/mqtt/packet"
)

func properties(set func(*packet.Properties)) (p packet.Properties) {
	set(&p)
	return p
}

func TestOpenBag(t *testing.T) {
	for name, want := range map[string]struct {
		topic string
		p     packet.Properties
	}{
		"a/b":   {topic: "a/b"},
		"a?x=1": {topic: "a?x=1"},
		"a/?":   {topic: "a"},
		"/a//?": {topic: "/a/"},
		"a/b/?content-type=application%2Fjson%3B%20charset=utf-8&correlation-id=%00%FF&response-topic=re/1&expiry=60&payload-format=1": {"a/b",
			properties(func(p *packet.Properties) {
				p.SetContentType("application/json; charset=utf-8")
				p.SetCorrelationData([]byte{0, 0xff})
				p.SetResponseTopic("re/1")
				p.SetMessageExpiry(60)
				p.SetPayloadFormat(1)
			})},
		"a/?b=2&a=%c3%bc&b=3&Content-Type=x&e=": {"a", packet.Properties{User: []packet.UserProperty{
			{Key: "b", Value: "2"}, {Key: "a", Value: "ü"}, {Key: "b", Value: "3"}, {Key: "Content-Type", Value: "x"}, {Key: "e", Value: ""}}}},
		"a/?content-type=": {"a", properties(func(p *packet.Properties) { p.SetContentType("") })},
		"a/?correlation-id=&expiry=0": {"a", properties(func(p *packet.Properties) {
			p.SetCorrelationData([]byte{})
			p.SetMessageExpiry(0)
		})},
		"a/?k=b=c%26d/%3F": {"a", packet.Properties{User: []packet.UserProperty{{Key: "k", Value: "b=c&d/?"}}}},
	} {
		var got packet.Properties
		topic := name
		if err := openBag(&topic, &got); err != nil || topic != want.topic {
			t.Errorf("%q: topic %q, %v", name, topic, err)
		}
		if diff := cmp.Diff(want.p, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", name, diff)
		}
	}
}

// A bag that is not well-formed is refused with what is wrong, and never taken for a topic.
func TestMalformedBag(t *testing.T) {
	for name, part := range map[string]string{
		"/?a=1":                              "no topic before",
		"a/?b/?c=1":                          "twice",
		"a/?b=1/?c=1":                        "twice",
		"a/?b":                               `"b" is not NAME=VALUE`,
		"a/?=1":                              `"=1" is not NAME=VALUE`,
		"a/?b=1&":                            "behind the last &",
		"a/?b=1&&c=2":                        `"" is not NAME=VALUE`,
		"a/?&b=1":                            `"" is not NAME=VALUE`,
		"a/?b=%":                             "%25",
		"a/?b=%2":                            "%25",
		"a/?b=%zz":                           `"%zz" is no escape`,
		"a/?%=1":                             "%25",
		"a/?b=%ff":                           "UTF-8",
		"a/?b=%00":                           "U+0000",
		"a/?%00=1":                           "U+0000",
		"a/?content-type=%ff":                "UTF-8",
		"a/?content-type=a&content-type=b":   "twice",
		"a/?correlation-id=1&correlation-id": "NAME=VALUE",
		"a/?expiry=1&expiry=1":               "twice",
		"a/?expiry=":                         "seconds",
		"a/?expiry=-1":                       "seconds",
		"a/?expiry=4294967296":               "seconds",
		"a/?expiry=1s":                       "seconds",
		"a/?" + strings.Repeat("a=&", packet.UserPropertiesMax) + "b=": `"b" is one User Property too many; there may be 1000`,
		"a/?payload-format=2":     "neither",
		"a/?response-topic=":      "at least one character",
		"a/?response-topic=%2B/a": "wildcards",
	} {
		topic := name
		err := openBag(&topic, &packet.Properties{})
		if err == nil || err.Reason != packet.TopicNameInvalid || !strings.Contains(err.Detail, part) {
			t.Errorf("%q: %v, want one with %q", name, err, part)
		}
	}
}

// Any properties come back from a bag that is written as the documentation says.
func TestBagRoundTrip(t *testing.T) {
	escape := func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			if c := s[i]; c >= 'a' && c <= 'z' {
				b.WriteByte(c)
			} else {
				b.WriteString("%" + string("0123456789ABCDEF"[c>>4]) + string("0123456789abcdef"[c&15]))
			}
		}
		return b.String()
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Map(rapid.StringN(1, 8, -1), func(s string) string { return strings.ReplaceAll(s, "\x00", "0") })
		var user []packet.UserProperty
		var pairs []string
		for range rapid.IntRange(0, 4).Draw(t, "count") {
			u := packet.UserProperty{Key: text.Draw(t, "key"), Value: text.Draw(t, "value")}
			user = append(user, u)
			pairs = append(pairs, escape(u.Key)+"="+escape(u.Value))
		}
		correlation := rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "correlation")
		pairs = append(pairs, "correlation-id="+escape(string(correlation)))
		topic, got := "a/b/?"+strings.Join(pairs, "&"), packet.Properties{}
		if err := openBag(&topic, &got); err != nil || topic != "a/b" {
			t.Fatalf("%q: %v", topic, err)
		}
		if diff := cmp.Diff(user, got.User); diff != "" || string(got.CorrelationData) != string(correlation) {
			t.Fatalf("%q, (-want +got):\n%s", got.CorrelationData, diff)
		}
	})
}

// Publish and Will of a 3.1.1 device have the properties of their bags and topics without; MQTT 5 devices have properties of their own, and
// topics with question marks.
func TestPropertyBagOfDevices(t *testing.T) {
	const name = "a/?content-type=text%2Fplain"
	for _, c := range []struct {
		version packet.Version
		on      bool
		topic   string
		media   string
	}{
		{packet.V311, true, "a", "text/plain"},
		{packet.V311, false, name, ""},
		{packet.V5, true, name, ""},
	} {
		cfg := testConfig()
		cfg.PropertyBag = c.on
		m := New(&cfg, Hooks{})
		m.Step(scriptStart, ConnectionOpened{}, nil)
		out := m.Step(scriptStart, PacketReceived{Packet: &packet.Connect{Version: c.version, ClientID: "c", CleanStart: true,
			Will: &packet.Will{Topic: name, QoS: 1}}}, nil)
		for _, e := range out {
			if e, ok := e.(OpenSession); ok && (e.Connect.Will.Topic != c.topic || e.Connect.Will.Properties.ContentType != c.media) {
				t.Errorf("%+v: the Will is %+v", c, e.Connect.Will)
			}
		}
		m.Step(scriptStart, SessionOpened{MessageIDPrefix: "p"}, nil)
		published := 0
		for qos := range packet.QoS(2) {
			for _, e := range m.Step(scriptStart, PacketReceived{Packet: &packet.Publish{Topic: name, QoS: qos, ID: packet.ID(qos)}}, nil) {
				if e, ok := e.(Publish); ok {
					published++
					if e.Packet.Topic != c.topic || e.Packet.Properties.ContentType != c.media {
						t.Errorf("%+v: published is %+v", c, e.Packet)
					}
				}
			}
		}
		if published != 2 {
			t.Errorf("%+v: %d of 2 published", c, published)
		}
	}
}
