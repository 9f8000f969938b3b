package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp"
)

func TestParseEndpoint(t *testing.T) {
	for raw, want := range map[string]endpoint{
		"amqp://h":                    {address: "h:5672", host: "h", hostname: "h"},
		"amqps://h":                   {address: "h:5671", host: "h", hostname: "h", tls: true},
		"amqp://u:p@h:1/":             {address: "h:1", host: "h", hostname: "h", user: "u", password: "p"},
		"amqp://u:p%40@h/tenant%2Fa":  {address: "h:5672", host: "h", hostname: "vhost:tenant/a", user: "u", password: "p@"},
		"amqp://[::1]:5672/plant":     {address: "[::1]:5672", host: "::1", hostname: "vhost:plant"},
		" amqp://space.around:5672/ ": {address: "space.around:5672", host: "space.around", hostname: "space.around"},
	} {
		got, err := parseEndpoints([]string{raw})
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		got[0].sasl = nil
		if fmt.Sprint(got[0]) != fmt.Sprint(want) {
			t.Errorf("%s: %+v", raw, got[0])
		}
	}
}

func TestOptionErrorsNameTheFaultAndNoSecret(t *testing.T) {
	ok := []string{"amqp://h"}
	for want, o := range map[string]Options{
		"no bus URL":          {},
		"percent-encode":      {URLs: []string{"amqp://u:sec%ret@h"}},
		`scheme "mqtt"`:       {URLs: []string{"amqp://h", "mqtt://u:secret@h"}},
		"names no host":       {URLs: []string{"amqp://u:secret@"}},
		"URL 2 of 2":          {URLs: []string{"amqp://h", "amqp://u:secret@"}},
		"Connections is 1000": {URLs: ok, Connections: 1000},
		"Window is -1":        {URLs: ok, Window: -1},
		"IdleTimeout 1ms":     {URLs: ok, IdleTimeout: time.Millisecond},
	} {
		_, err := Open(o)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestErrorKinds(t *testing.T) {
	remote := func(c goamqp.ErrCond) error {
		return &goamqp.LinkError{RemoteErr: &goamqp.Error{Condition: c, Description: "why\n[{stack,trace}]"}}
	}
	for _, tt := range []struct {
		err  error
		kind error
		also scope
	}{
		{remote(goamqp.ErrCondNotFound), amqp.ErrNotFound, newLink},
		{remote(goamqp.ErrCondResourceDeleted), amqp.ErrNotFound, newLink},
		{&goamqp.SessionError{RemoteErr: &goamqp.Error{Condition: goamqp.ErrCondUnauthorizedAccess}}, amqp.ErrRefused, newSession},
		{remote(goamqp.ErrCondResourceLocked), amqp.ErrUnavailable, newLink},
		{&goamqp.ConnError{RemoteErr: &goamqp.Error{Condition: goamqp.ErrCondNotFound}}, amqp.ErrUnavailable, newConnection},
		{context.DeadlineExceeded, amqp.ErrUnavailable, inPlace},
		{fmt.Errorf("x: %w", amqp.ErrConflict), amqp.ErrConflict, inPlace},
	} {
		err := failure("attach to inbox", "q", tt.err)
		if !errors.Is(err, tt.kind) || !errors.Is(err, tt.err) || scopeOf(tt.err) != tt.also {
			t.Errorf("%v: %v", tt.err, err)
		}
		if s := err.Error(); !strings.Contains(s, `attach to inbox "q"`) || strings.Contains(s, "stack") {
			t.Errorf("text %q", s)
		}
	}
}

func TestBackoffGrowsWithinItsBounds(t *testing.T) {
	var b backoff
	for i := range 20 {
		d, most := b.duration(), min(backoffMin<<i, backoffMax)
		if d < most/2 || d > most {
			t.Errorf("wait %d is %v, want %v to %v", i, d, most/2, most)
		}
	}
	b.reset()
	if d := b.duration(); d > backoffMin {
		t.Errorf("after reset %v", d)
	}
}
