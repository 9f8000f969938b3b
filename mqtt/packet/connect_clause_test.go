package packet_test

import (
	"errors"
	"testing"

	"sluice/mqtt/packet"
)

// The Connect Flags say which fields are there: each field in its place, none missing, none more ([MQTT-3.1.2-9], [MQTT-3.1.2-16] to
// [MQTT-3.1.2-19], [MQTT-3.1.3-1], [MQTT-3.1.3-3], and their like in 3.1.1).
func TestConnectFields(t *testing.T) {
	t.Parallel()
	for _, v := range []packet.Version{v4, v5} {
		for flags := range 8 {
			will, user, password := flags&1 != 0, flags&2 != 0, flags&4 != 0
			if v == v4 && password && !user {
				continue // not allowed there
			}
			body, all := connectFields(v, will, user, password)
			p, err := parseAll(wire(body).packet(0x10), 0)
			if err != nil {
				t.Errorf("%s, will %t, user name %t, password %t: %v", v, will, user, password, err)
				continue
			}
			c := p.(*packet.Connect)
			if c.ClientID != "id" || (c.Will != nil) != will || c.HasUsername != user || c.HasPassword != password {
				t.Errorf("%s, will %t, user name %t, password %t: %+v", v, will, user, password, c)
			}
			if will && (c.Will.Topic != "topic" || string(c.Will.Payload) != "payload") || user && c.Username != "user" ||
				password && string(c.Password) != "password" {
				t.Errorf("%s: a field has the bytes of another: %+v", v, c)
			}
			// Without its last field, and with one more.
			for _, wrong := range [][]byte{body[:all], append(append([]byte{}, body...), 0, 1, 'x')} {
				var refused *packet.Error
				if _, err := parseAll(wire(wrong).packet(0x10), 0); !errors.As(err, &refused) || refused.Reason != malformed {
					t.Errorf("%s, will %t, user name %t, password %t, fields % x: %v", v, will, user, password, wrong, err)
				}
			}
		}
	}
}

// connectFields is a CONNECT with exactly the fields its flags announce, and how long it is without the last of them.
func connectFields(v packet.Version, will, user, password bool) (body []byte, withoutLast int) {
	flags := 0
	for bit, on := range map[int]bool{0x04: will, 0x80: user, 0x40: password} {
		if on {
			flags |= bit
		}
	}
	w := connect4(flags)
	if v == v5 {
		w = connect5(flags).props(nil)
	}
	add := func(s string) {
		withoutLast = len(w)
		w = w.str(s)
	}
	add("id")
	if will {
		if v == v5 {
			w = w.props(nil)
		}
		add("topic")
		add("payload")
	}
	if user {
		add("user")
	}
	if password {
		add("password")
	}
	return w, withoutLast
}
