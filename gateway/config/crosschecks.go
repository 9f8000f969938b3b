package config

import (
	"fmt"
	"slices"

	"sluice/mapping/rules"
)

// crossChecks are the rules that concern more than one key; each gives a fault or "".
func (c *Config) crossChecks() []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	on := c.Listeners()
	if len(on) == 0 {
		fault("mqtt.tcp.listen, mqtt.tls.listen, mqtt.ws.listen and mqtt.wss.listen are all off: no device could connect; set one of them to host:port")
	}
	c.tlsFaults(fault)
	c.authFaults(fault)
	c.accessFaults(fault)
	c.adminFaults(fault)
	if c.EmbeddedUser == "" && len(c.BusURLs) == 0 && !loopback(c.EmbeddedListen) {
		fault("bus.embedded.listen is %s, which others can reach, and bus.embedded.user is empty; set bus.embedded.user and bus.embedded.password, or listen on 127.0.0.1", c.EmbeddedListen)
	}
	if len(c.BusURLs) == 0 && c.BusKind != KindAuto && c.BusKind != KindRabbitMQ {
		fault("bus.kind is %s but bus.url is empty, which runs the embedded bus; set bus.url to where that bus is", c.BusKind)
	}
	if (c.EmbeddedUser == "") != (c.EmbeddedPassword == "") {
		fault("bus.embedded.user and bus.embedded.password go together; set both or neither")
	}
	durable, standard := c.listenerWith(Durable), c.listenerWith(Standard)
	if durable != "" && c.SessionsURL == "" {
		fault("the profile of %s is durable, but sessions.url is empty: sessions in memory have no replica; set sessions.url to a Redis with replicas, or the profile to standard", durable)
	}
	if durable != "" && standard != "" {
		fault("the profile of %s is durable and that of %s is standard: a node waits for replicas for all devices or for none; give both the same profile, or the one of them a node of its own (ephemeral goes with either)", durable, standard)
	}
	quarantines := func(r rules.Rule) bool { return r.OnError == "quarantine" }
	if i := slices.IndexFunc(c.written.list, quarantines); i >= 0 && c.Quarantine == "" {
		fault("rules, line %d: rule %d has on_error: quarantine, but quarantine.address is off; name a queue there, or say on_error: close", c.written.lines[i], i+1)
	}
	return faults
}
