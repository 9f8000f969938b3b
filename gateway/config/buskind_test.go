package config

import (
	"strings"
	"testing"

	"sluice/amqp/topology"
)

func TestKindOfBus(t *testing.T) {
	const url = "bus.url=amqp://h"
	for _, c := range []struct {
		set            []string
		asks           bool
		product        string // found, if asked
		kind, to       string
		topologyOfKind topology.Kind
	}{
		{nil, false, "", KindAuto, "/exchanges/amq.topic/a.b", topology.Bindings},
		{[]string{url}, true, "RabbitMQ", KindRabbitMQ, "/exchanges/amq.topic/a.b", topology.Bindings},
		{[]string{url}, true, "", KindRabbitMQ, "/exchanges/amq.topic/a.b", topology.Bindings},
		{[]string{url}, true, "apache-activemq-artemis", KindArtemis, "mqtt.a.b", topology.Diverts},
		{[]string{url, "bus.kind=artemis", "bus.artemis.root=plant.x"}, false, "", KindArtemis, "plant.x.a.b", topology.Diverts},
		{[]string{url, "bus.kind=rabbitmq"}, false, "", KindRabbitMQ, "/exchanges/amq.topic/a.b", topology.Bindings},
	} {
		cfg := load(t, Source{Set: c.set})
		if got := cfg.AsksBus(); got != c.asks {
			t.Errorf("%v: asks %v", c.set, got)
		}
		if c.asks {
			if err := cfg.FoundBus(c.product); err != nil {
				t.Errorf("%v, %q: %v", c.set, c.product, err)
			}
		}
		if to := cfg.Dialect.ToTopic("a/b"); cfg.AsksBus() || cfg.BusKind != c.kind || to != c.to || cfg.BusTopology() != c.topologyOfKind {
			t.Errorf("%v, %q: kind %s, topology %s, a/b goes to %q", c.set, c.product, cfg.BusKind, cfg.BusTopology(), to)
		}
	}
}

// Rules are for a kind of bus: one that it cannot carry out is refused when the kind is known, at the latest when the bus has said it.
func TestRulesOfKindOfBus(t *testing.T) {
	path := file(t, "rules:\n- topic: a/{x}\n  require_route: true\n- topic: b/#\n  exchange: b\n- topic: c/{x}\n  key: d.{x}\n- topic: d/{x}\n  queue: activemq.{x}\n- topic: e/{x}\n  queue: orders.{x}\n")
	cfg := load(t, Source{File: path, Set: []string{"bus.url=amqp://h"}})
	if err := cfg.FoundBus("RabbitMQ"); err != nil || cfg.Rules.Len() != 5 {
		t.Errorf("RabbitMQ: %d rules, %v", cfg.Rules.Len(), err)
	}
	_, _, early := Load(Source{File: path, Set: []string{"bus.url=amqp://h", "bus.kind=artemis"}})
	cfg = load(t, Source{File: path, Set: []string{"bus.url=amqp://h"}})
	for _, err := range []error{early, cfg.FoundBus("apache-activemq-artemis")} {
		if err == nil || !strings.Contains(err.Error(), "line 2: rule 1: require_route") || !strings.Contains(err.Error(), "line 4: rule 2: exchange") || strings.Contains(err.Error(), "rule 3") ||
			!strings.Contains(err.Error(), "line 8: rule 4: queue") || strings.Contains(err.Error(), "rule 5") {
			t.Errorf("Artemis: %v", err)
		}
	}
}
