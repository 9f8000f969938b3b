package config

import (
	"errors"
	"fmt"
	"strings"

	"sluice/amqp/topology"
	"sluice/mapping"
)

// The kinds of buses.
const (
	KindAuto     = "auto" // to be found out: FoundBus
	KindRabbitMQ = "rabbitmq"
	KindArtemis  = "artemis"
	// Azure does not say what it is.
	KindServiceBus = "servicebus"
	KindEventHubs  = "eventhubs"
)

// AsksBus reports whether the bus has to be asked for its kind: nothing may be addressed before.
func (c *Config) AsksBus() bool { return c.BusKind == KindAuto && len(c.BusURLs) > 0 }

// FoundBus settles the kind of a bus that calls itself product, or could not be asked (empty). It is RabbitMQ where nothing better is known. The
// error names the rules that cannot work with this kind.
func (c *Config) FoundBus(product string) error {
	c.BusKind = KindRabbitMQ
	if kind, _ := topology.KindOf(product); kind == topology.Diverts {
		c.BusKind = KindArtemis
	}
	if faults, _ := c.chooseDialect(); len(faults) > 0 {
		return errors.New(strings.Join(faults, "\n"))
	}
	return nil
}

// chooseDialect follows BusKind; auto is RabbitMQ until it is known better.
func (c *Config) chooseDialect() (faults, warnings []string) {
	c.Dialect = mapping.RabbitMQ
	switch c.BusKind {
	case KindArtemis:
		c.Dialect = mapping.Artemis(c.ArtemisRoot)
	case KindServiceBus:
		c.Dialect = mapping.ServiceBus(c.Azure.Entity, c.Azure.replies())
	case KindEventHubs:
		c.Dialect = mapping.EventHubs(c.Azure.Entity, c.Azure.replies())
	}
	c.Dialect = c.Dialect.WithForm(c.Form)
	return c.compileRules()
}

// BusTopology is BusKind as the client of the bus wants it.
func (c *Config) BusTopology() topology.Kind {
	switch c.BusKind {
	case KindArtemis:
		return topology.Diverts
	case KindServiceBus:
		return topology.ServiceBus
	case KindEventHubs:
		return topology.EventHubs
	}
	return topology.Bindings
}

func artemisRoot(dst *string) setter {
	return func(v any) error {
		s := fmt.Sprint(v)
		if err := topology.CheckRoot(s); err != nil {
			return errors.New("cannot begin the addresses of topics; write a name such as mqtt, without * # , : and space, whose first level is not sluice, activemq or one with $")
		}
		*dst = s
		return nil
	}
}
