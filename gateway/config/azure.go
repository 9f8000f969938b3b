package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Azure is what Service Bus and Event Hubs need to be told: nothing can be made there over AMQP.
type Azure struct {
	Entity    string   // that topics go to
	Receive   []string // entities that this node receives from
	Login     string   // one of the Login constants
	TokenFile string
}

// How Azure is told who we are.
const (
	LoginKey   = "key"
	LoginPlain = "plain"
	LoginToken = "token"
)

// IsAzure reports whether the bus is Service Bus or Event Hubs.
func (c *Config) IsAzure() bool { return c.BusKind == KindServiceBus || c.BusKind == KindEventHubs }

// replies is the entity where a backend sends what is for devices: the first that nodes receive from, without subscription or partition.
func (a *Azure) replies() string {
	if len(a.Receive) == 0 {
		return ""
	}
	entity := a.Receive[0]
	for _, part := range []string{"/subscriptions/", "/consumergroups/"} {
		if i := strings.Index(strings.ToLower(entity), part); i > 0 {
			entity = entity[:i]
		}
	}
	return entity
}

const nodeVariable = "{node}"

// settleAzure checks what belongs together, fills in the name of the node, and turns off what Azure would have to be given first.
func (c *Config) settleAzure() (faults, warnings []string) {
	a := &c.Azure
	if !c.IsAzure() {
		if a.Entity != "" || len(a.Receive) > 0 || a.Login != LoginKey || a.TokenFile != "" {
			faults = append(faults, "the keys bus.azure.* are for Service Bus and Event Hubs, and bus.kind is "+c.BusKind+"; set bus.kind to servicebus or eventhubs, or leave them out")
		}
		return faults, nil
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if a.Entity == "" {
		fault("bus.azure.entity is empty; name the queue, topic or event hub that devices' messages go to")
	}
	if (a.Login == LoginToken) != (a.TokenFile != "") {
		fault("bus.azure.login %s and bus.azure.token_file %q do not go together; set login to token and name the file, or leave both out", a.Login, a.TokenFile)
	}
	for i, r := range a.Receive {
		shared := strings.Contains(r, nodeVariable)
		if shared && c.NodeID == "" {
			fault("bus.azure.receive has %s, and node.id is empty; give each node a name, for which there is a subscription", nodeVariable)
		}
		if a.Receive[i] = strings.ReplaceAll(r, nodeVariable, c.NodeID); !shared && c.BusKind == KindServiceBus {
			warnings = append(warnings, fmt.Sprintf("bus.azure.receive: %s is the same for all nodes, so that each message reaches the devices of one node only; with several nodes give each a subscription of its own and write %s in its place", r, nodeVariable))
		}
	}
	// What a node makes for itself elsewhere has to be made by an operator here: it is off unless it was named.
	for _, q := range []*string{&c.RetainedQueue, &c.EventsAddress, &c.Quarantine} {
		if strings.HasPrefix(*q, "sluice.") {
			*q = ""
		}
	}
	return faults, warnings
}

// entity takes the name of an entity.
func entity(dst *string) setter {
	return func(v any) error {
		s := fmt.Sprint(v)
		if err := checkEntity(s); s != "" && err != nil {
			return err
		}
		*dst = s
		return nil
	}
}

func checkEntity(s string) error {
	if s == "" || strings.Trim(s, "/") != s || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("is no entity; write its path without a slash in front, such as devices or devices/Subscriptions/node-1")
	}
	return nil
}

// receivedEntities takes entities, and expands the partitions of a hub: {0-3} stands for 0, 1, 2 and 3.
func receivedEntities(dst *[]string) setter {
	return func(v any) error {
		list, err := texts(v)
		if err != nil {
			return err
		}
		var all []string
		for _, s := range list {
			more, err := expandPartitions(s)
			if err != nil {
				return err
			}
			all = append(all, more...)
		}
		if len(all) > maxReceived {
			return fmt.Errorf("are %d entities; at most %d are possible", len(all), maxReceived)
		}
		*dst = all
		return nil
	}
}

func expandPartitions(s string) ([]string, error) {
	if err := checkEntity(s); err != nil {
		return nil, fmt.Errorf("has %q, which %w", s, err)
	}
	head, rest, found := strings.Cut(strings.ReplaceAll(s, nodeVariable, "\x00"), "{")
	restore := func(s string) string { return strings.ReplaceAll(s, "\x00", nodeVariable) }
	if !found {
		return []string{s}, nil
	}
	span, tail, closed := strings.Cut(rest, "}")
	low, high, isRange := strings.Cut(span, "-")
	first, err1 := strconv.ParseUint(low, 10, 16)
	last, err2 := strconv.ParseUint(high, 10, 16)
	if !closed || !isRange || err1 != nil || err2 != nil || first > last || last-first >= maxReceived {
		return nil, fmt.Errorf("has %q with a brace that is neither %s nor a range of partitions such as {0-3}", s, nodeVariable)
	}
	var all []string
	for n := first; n <= last; n++ {
		all = append(all, restore(head+strconv.FormatUint(n, 10)+tail))
	}
	return all, nil
}
