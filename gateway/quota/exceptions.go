package quota

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// Exceptions are what a file of quotas says.
type Exceptions struct {
	Tenants map[string]*TenantExceptions `yaml:"tenants"`
}

// TenantExceptions are the quotas of one tenant.
type TenantExceptions struct {
	Limits     SomeLimits                      `yaml:",inline"`   // of the tenant as a whole
	Principal  SomeLimits                      `yaml:"principal"` // of each of its principals
	Session    SomeSession                     `yaml:"session"`   // of each of their sessions
	Principals map[string]*PrincipalExceptions `yaml:"principals"`
}

// PrincipalExceptions are the quotas of one principal.
type PrincipalExceptions struct {
	Limits  SomeLimits  `yaml:",inline"`
	Session SomeSession `yaml:"session"`
}

// SomeLimits are Limits of which some are said.
type SomeLimits struct {
	Connections   *int `yaml:"connections"`
	ConnectRate   *int `yaml:"connect_rate"`
	PublishRate   *int `yaml:"publish_rate"`
	PublishBurst  *int `yaml:"publish_burst"`
	PublishBytes  *int `yaml:"publish_bytes"`
	InFlight      *int `yaml:"in_flight"`
	Subscriptions *int `yaml:"subscriptions"`
}

// SomeSession is a Session of which some is said.
type SomeSession struct {
	ReceiveMaximum *int `yaml:"receive_maximum"`
	PacketSize     *int `yaml:"max_packet_size"`
	Subscriptions  *int `yaml:"subscriptions"`
}

// said is one value of a file, where it belongs, and what it may be.
type said struct {
	name      string
	value     *int
	low, high int
}

func (s *SomeLimits) all() []said {
	return []said{
		{"connections", s.Connections, 0, Most}, {"connect_rate", s.ConnectRate, 0, Most}, {"publish_rate", s.PublishRate, 0, Most},
		{"publish_burst", s.PublishBurst, 0, Most}, {"publish_bytes", s.PublishBytes, 0, Most}, {"in_flight", s.InFlight, 0, Most},
		{"subscriptions", s.Subscriptions, 0, Most},
	}
}

func (s *SomeLimits) over(l *Limits) {
	for i, dst := range []*int{&l.Connections, &l.ConnectRate, &l.PublishRate, &l.PublishBurst, &l.PublishBytes, &l.InFlight, &l.Subscriptions} {
		if v := s.all()[i].value; v != nil {
			*dst = *v
		}
	}
}

// The bounds are those of the keys that say the same for all: mqtt.receive_maximum, mqtt.max_packet_size, limits.subscriptions.
func (s *SomeSession) all() []said {
	return []said{
		{"receive_maximum", s.ReceiveMaximum, 1, 65535}, {"max_packet_size", s.PacketSize, 128, 268435455}, {"subscriptions", s.Subscriptions, 1, 1 << 20},
	}
}

func (s *SomeSession) over(l *Session) {
	for i, dst := range []*int{&l.ReceiveMaximum, &l.PacketSize, &l.Subscriptions} {
		if v := s.all()[i].value; v != nil {
			*dst = *v
		}
	}
}

func parse(b []byte) (*Exceptions, error) {
	var file yaml.Node
	if err := yaml.Unmarshal(b, &file); err != nil {
		return nil, fmt.Errorf("%w; docs/quotas.md has an example", err)
	}
	if len(file.Content) > 0 {
		if faults := fileLevel().check(file.Content[0], ""); len(faults) > 0 {
			return nil, fmt.Errorf("%w; docs/quotas.md has an example", errors.Join(faults...))
		}
	}
	e := &Exceptions{}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(e); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w; docs/quotas.md has an example", err)
	}
	var faults []error
	check := func(where string, all []said) {
		for _, s := range all {
			if s.value != nil && (*s.value < s.low || *s.value > s.high) {
				faults = append(faults, fmt.Errorf("%s.%s: %d is not a whole number from %d to %d", where, s.name, *s.value, s.low, s.high))
			}
		}
	}
	for name, t := range e.Tenants {
		if t == nil {
			continue
		}
		where := "tenants." + name
		check(where, t.Limits.all())
		check(where+".principal", t.Principal.all())
		check(where+".session", t.Session.all())
		for name, p := range t.Principals {
			if p == nil {
				continue
			}
			check(where+".principals."+name, p.Limits.all())
			check(where+".principals."+name+".session", p.Session.all())
		}
	}
	return e, errors.Join(faults...)
}
