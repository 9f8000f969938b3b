package servicebus

import (
	"fmt"
	"strings"
)

// Fault is why something is refused or ended: an AMQP condition and a sentence.
type Fault struct {
	Condition, Text string
}

// Error gives both.
func (f *Fault) Error() string { return f.Condition + ": " + f.Text }

func fault(condition, format string, args ...any) *Fault {
	return &Fault{Condition: condition, Text: fmt.Sprintf(format, args...)}
}

// The conditions that Azure answers with, beside the standard's own.
const (
	notFound         = "amqp:not-found"
	notAllowed       = "amqp:not-allowed"
	unauthorized     = "amqp:unauthorized-access"
	detachForced     = "amqp:link:detach-forced"
	connectionForced = "amqp:connection:forced"
	argumentError    = "com.microsoft:argument-error"
)

// CBS is the address of the node that takes tokens.
const CBS = "$cbs"

// Target is where a sender's messages go. There is no anonymous terminus, and nothing is made by being named.
func (n *Namespace) Target(address string) (*Node, *Fault) {
	if address == "" {
		return nil, fault(notAllowed, "a sender names its entity in the target's address: there is no anonymous terminus here")
	}
	node, f := n.find(address)
	if f == nil && node.sends == nil {
		return nil, fault(notAllowed, "nothing can be sent to %q", node.Path)
	}
	return node, f
}

// Source is where a receiver's messages come from.
func (n *Namespace) Source(address string) (*Node, *Fault) {
	node, f := n.find(address)
	if f == nil && node.queue == "" && node.hub == nil {
		return nil, fault(notAllowed, "nothing can be received from %q: name a subscription of the topic, or a consumer group and a partition of the hub", node.Path)
	}
	return node, f
}

func (n *Namespace) find(address string) (*Node, *Fault) {
	if node := n.nodes[entityPath(address)]; node != nil {
		return node, nil
	}
	return nil, fault(notFound, "The messaging entity %q could not be found; entities are made in the portal or by the management API, not by AMQP", address)
}

// entityPath is the lower-case path of an entity's address or of a token's audience: with or without "amqps://host/" and a slash in front.
func entityPath(address string) string {
	if _, rest, isURL := strings.Cut(address, "://"); isURL {
		_, address, _ = strings.Cut(rest, "/")
	}
	return strings.ToLower(strings.Trim(address, "/"))
}

// covers tells whether what is granted for one path holds for another: for the path itself and all below it.
func covers(granted, path string) bool {
	rest, ok := strings.CutPrefix(path, granted)
	return ok && (granted == "" || rest == "" || rest[0] == '/')
}
