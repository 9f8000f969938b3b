package config

import (
	"slices"
	"strings"
	"testing"

	"sluice/amqp/topology"
)

func TestAzureKeys(t *testing.T) {
	cfg, warnings, err := Load(Source{Set: []string{"bus.url=amqps://rule:key@ns.example", "bus.kind=servicebus", "bus.azure.entity=telemetry", "node.id=n7",
		"bus.azure.receive=commands/Subscriptions/{node}, jobs"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"commands/Subscriptions/n7", "jobs"}; !slices.Equal(cfg.Azure.Receive, want) {
		t.Errorf("receives from %v", cfg.Azure.Receive)
	}
	if to := cfg.Dialect.ToTopic("a/b"); to != "telemetry" || cfg.BusTopology() != topology.ServiceBus || cfg.AsksBus() {
		t.Errorf("a/b goes to %s, topology %s", to, cfg.BusTopology())
	}
	if cfg.RetainedQueue != "" || cfg.EventsAddress != "" || cfg.Quarantine != "" {
		t.Errorf("queues that nobody has made are used: %q %q %q", cfg.RetainedQueue, cfg.EventsAddress, cfg.Quarantine)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "jobs is the same for all nodes") {
		t.Errorf("warnings %q", warnings)
	}
	cfg, warnings, err = Load(Source{Set: []string{"bus.url=amqps://ns.example", "bus.kind=eventhubs", "bus.azure.entity=hub", "bus.azure.login=token", "bus.azure.token_file=/t",
		"bus.azure.receive=hub/ConsumerGroups/$Default/Partitions/{0-2}", "events.address=alerts"}})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if len(cfg.Azure.Receive) != 3 || cfg.Azure.Receive[2] != "hub/ConsumerGroups/$Default/Partitions/2" || cfg.EventsAddress != "alerts" {
		t.Errorf("%v, %q", cfg.Azure.Receive, cfg.EventsAddress)
	}
	for receive, want := range map[string]string{
		"": "", "q": "q", "t/Subscriptions/a,other": "t", "hub/ConsumerGroups/$Default/Partitions/0": "hub",
	} {
		a := Azure{Receive: slices.DeleteFunc(strings.Split(receive, ","), func(s string) bool { return s == "" })}
		if got := a.replies(); got != want {
			t.Errorf("replies to %q for %q, want %q", got, receive, want)
		}
	}
}

func TestAzureFaults(t *testing.T) {
	base := []string{"bus.url=amqps://ns.example", "bus.kind=servicebus", "bus.azure.entity=q"}
	for want, set := range map[string][]string{
		"bus.azure.entity is empty":    {"bus.azure.entity="},
		"set bus.kind to servicebus":   {"bus.kind=rabbitmq"},
		"node.id is empty":             {"bus.azure.receive=t/Subscriptions/{node}"},
		"do not go together":           {"bus.azure.login=token"},
		"neither {node} nor a range":   {"bus.azure.receive=h/{a}"},
		"is no entity":                 {"bus.azure.receive=/q"},
		"is none of key, token, plain": {"bus.azure.login=x"},
		"at most 150":                  {"bus.azure.receive=h/{0-99},i/{0-99}"},
		"bus.url is empty":             {"bus.url="},
	} {
		if _, _, err := Load(Source{Set: append(slices.Clone(base), set...)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", set, err, want)
		}
	}
	rules := file(t, "rules:\n- topic: a/{x}\n  key: b.{x}\n- topic: c/{x}\n  queue: orders\n")
	_, _, err := Load(Source{File: rules, Set: base})
	if err == nil || !strings.Contains(err.Error(), "rule 1: key") || strings.Contains(err.Error(), "rule 2") {
		t.Errorf("a rule with a key: %v", err)
	}
}
