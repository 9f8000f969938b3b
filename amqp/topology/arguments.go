package topology

import (
	"fmt"
	"slices"
	"strings"

	"sluice/amqp"
)

// Version of the argument sets below. A queue's arguments cannot be changed once it is there, so that any change here is a new version and needs a
// way from the old queues to the new.
const Version = 1

// The queue arguments of version 1.
const (
	argType         = "x-queue-type"
	argExpires      = "x-expires"
	argMaxLength    = "x-max-length"
	argOverflow     = "x-overflow"
	argSingleActive = "x-single-active-consumer"

	typeClassic    = "classic" // cheap to make and to remove; one per session is made and removed all day
	overflowDrop   = "drop-head"
	overflowRefuse = "reject-publish"
)

// maxExpires is the longest x-expires in milliseconds, 49.7 days. RabbitMQ 4.3.6 takes somewhat more, the embedded bus does not. An inbox that is to
// live longer gets none: to be kept until somebody removes it is better than to vanish too early.
const maxExpires = 1<<32 - 1

// queueArguments are the arguments of an inbox's queue.
func queueArguments(inbox amqp.Inbox) map[string]any {
	args := map[string]any{argType: typeClassic}
	if inbox.Expires > 0 && inbox.Expires <= maxExpires {
		args[argExpires] = inbox.Expires
	}
	if inbox.MaxLength > 0 {
		args[argMaxLength] = inbox.MaxLength
		args[argOverflow] = overflowRefuse
		if inbox.DropOldest {
			args[argOverflow] = overflowDrop
		}
	}
	if inbox.SingleActive {
		args[argSingleActive] = true
	}
	return args
}

// queueBody is the body of a declaration. A durable queue that is neither exclusive nor deleted with its last consumer outlives nodes.
func queueBody(inbox amqp.Inbox) map[string]any {
	return map[string]any{"durable": true, "exclusive": false, "auto_delete": false, "arguments": queueArguments(inbox)}
}

// maxName is the longest inbox name, in bytes: AMQP 0-9-1's short string, which RabbitMQ keeps names in.
const maxName = 255

func checkName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%w: an inbox name has %d bytes; 1 to %d are allowed", amqp.ErrRefused, len(name), maxName)
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' || name[i] == '/' {
			return fmt.Errorf("%w: inbox name %q has byte %#02x; use printable ASCII without space and '/'", amqp.ErrRefused, name, name[i])
		}
	}
	return nil
}

// show writes arguments in a fixed order for an error text.
func show(args map[string]any) string {
	var parts []string
	for k, v := range args {
		parts = append(parts, fmt.Sprintf("%s=%v", k, v))
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, " ") + "}"
}
