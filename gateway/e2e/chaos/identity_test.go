package chaos

import (
	"fmt"
	"strings"
)

// identity names a message of the run. Every payload begins with it.
type identity struct {
	direction direction
	device    int
	qos       uint8
	sequence  int // from 1, without gaps, per direction, device and QoS
}

type direction uint8

const (
	up   direction = iota // device to backend
	down                  // backend to device
)

func (d direction) String() string { return [...]string{"up", "down"}[d] }

func (i identity) String() string {
	return fmt.Sprintf("%v %d qos%d #%d", i.direction, i.device, i.qos, i.sequence)
}

// filling makes payloads as long as a small telemetry message.
var filling = strings.Repeat(".", 80)

func (i identity) payload() []byte {
	return fmt.Appendf(nil, "%d %d %d %d %s", i.direction, i.device, i.qos, i.sequence, filling)
}

func parseIdentity(payload []byte) (i identity, err error) {
	_, err = fmt.Sscanf(string(payload), "%d %d %d %d ", &i.direction, &i.device, &i.qos, &i.sequence)
	if err != nil || i.direction > down || i.sequence < 1 {
		return identity{}, fmt.Errorf("no identity in %q", payload[:min(len(payload), 40)])
	}
	return i, nil
}

// names are the topics of the run.
type names struct{ prefix string }

func (n names) client(device int) string     { return fmt.Sprintf("%s-d%d", n.prefix, device) }
func (n names) downFilter(device int) string { return fmt.Sprintf("%s/down/%d/+", n.prefix, device) }
func (n names) will(device int) string       { return fmt.Sprintf("%s/will/%d", n.prefix, device) }
func (n names) topic(i identity) string {
	return fmt.Sprintf("%s/%v/%d/q%d", n.prefix, i.direction, i.device, i.qos)
}
