package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/mqtt/packet"
)

// trace is what a device sent and received, latest last, so that a violation can be understood afterwards.
type trace struct {
	mu    sync.Mutex
	lines []string
}

// traceMax bounds a device's trace; half is forgotten when it is full.
const traceMax = 20_000

func (tr *trace) add(attempt int, format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.lines) == traceMax {
		tr.lines = slices.Delete(tr.lines, 0, traceMax/2)
	}
	tr.lines = append(tr.lines, time.Now().Format("15:04:05.000 ")+fmt.Sprintf("#%d ", attempt)+fmt.Sprintf(format, args...))
}

// text is a packet in a few words.
func text(p packet.Packet) string {
	switch p := p.(type) {
	case *packet.Publish:
		name := fmt.Sprintf("PUBLISH %d qos%d", p.ID, p.QoS)
		if id, err := parseIdentity(p.Payload); err == nil {
			name = fmt.Sprintf("PUBLISH %d (%v)", p.ID, id)
		}
		if p.Dup {
			name += " DUP"
		}
		return name
	case *packet.Ack:
		return fmt.Sprintf("%v %d %v", p.Kind, p.ID, p.Reason)
	case *packet.Connack:
		return fmt.Sprintf("CONNACK %v, session present %v", p.Reason, p.SessionPresent)
	case *packet.Disconnect:
		return fmt.Sprintf("DISCONNECT %v", p.Reason)
	}
	return p.Type().String()
}

// traces writes the traces of the devices that violations name, and what was printed of each node, to where go test -artifacts keeps them.
func (r *run) traces(t *testing.T) {
	t.Helper()
	texts := strings.Join(r.book.violations(), "\n")
	for _, d := range r.fleet.devices {
		name := fmt.Sprintf(" %d ", d.number)
		if !strings.Contains(texts, "down"+name) && !strings.Contains(texts, "up"+name) && !strings.Contains(texts, "device"+name) {
			continue
		}
		d.trace.mu.Lock()
		lines := strings.Join(d.trace.lines, "\n")
		d.trace.mu.Unlock()
		file := filepath.Join(t.ArtifactDir(), fmt.Sprintf("device-%d.trace", d.number))
		if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
			t.Error(err)
		}
		t.Logf("what device %d saw is in %s if go test has -artifacts", d.number, file)
	}
}
