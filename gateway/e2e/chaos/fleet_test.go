package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// fleet is all devices.
type fleet struct {
	address  string                                   // of the balancer
	nodeOf   func(device string) (index int, ok bool) // by the device's local address
	interval time.Duration                            // between two messages of a device
	loaded   atomic.Bool
	refusals atomic.Int64 // attempts to connect that came to nothing
	devices  []*device
	mortals  []*device // see mortal_test.go
	living   context.Context
	stop     context.CancelFunc
	running  sync.WaitGroup
}

func startFleet(t *testing.T, s settings, n names, book *ledger, b *balancer) *fleet {
	ctx, cancel := context.WithCancel(context.Background())
	f := &fleet{address: b.address, nodeOf: b.nodeOf, interval: 2 * time.Duration(s.devices) * time.Second / time.Duration(s.rate), living: ctx, stop: cancel}
	for i := range s.devices {
		f.devices = append(f.devices, newDevice(i, n, book, f))
	}
	for i := range mortalCount {
		d := newDevice(s.devices+i, n, book, f)
		d.mortal, d.habits, book.mortal[d.number] = true, habits{}, true
		f.mortals = append(f.mortals, d)
	}
	f.revive(f.all())
	t.Cleanup(f.end)
	return f
}

// all is everybody.
func (f *fleet) all() []*device { return slices.Concat(f.devices, f.mortals) }

// alive is everybody but the dead.
func (f *fleet) alive() []*device { return slices.DeleteFunc(f.all(), (*device).dead) }

// revive lets devices run that do not.
func (f *fleet) revive(devices []*device) {
	for _, d := range devices {
		f.running.Go(func() { d.run(f.living) })
	}
}

// end cuts off whoever is left.
func (f *fleet) end() {
	f.stop()
	f.running.Wait()
}

// load makes the devices publish, or stop publishing.
func (f *fleet) load(on bool) { f.loaded.Store(on) }

// subscribed gives nil when every device has had its SUBACK.
func (f *fleet) subscribed() error {
	missing := 0
	for _, d := range f.all() {
		select {
		case <-d.subscribed:
		default:
			missing++
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d devices are not subscribed", missing)
	}
	return nil
}

// idle gives nil when every device is connected and has no exchange open.
func (f *fleet) idle() error {
	away, open := 0, 0
	for _, d := range f.alive() {
		s := d.state.Load()
		if !s.connected {
			away++
		}
		open += s.open
	}
	if away+open > 0 {
		return fmt.Errorf("%d devices are not connected, %d exchanges are open", away, open)
	}
	return nil
}

func (f *fleet) tell(order command, devices ...*device) {
	for _, d := range devices {
		d.commands <- order
	}
}

// endSessions lets the devices go and takes away what 3.1.1 leaves behind: Clean Session 1 ends the session [MQTT-3.1.2-6].
func (f *fleet) endSessions(t *testing.T, gone ...*device) {
	t.Helper()
	dead := map[*device]bool{}
	for _, d := range gone {
		dead[d] = true
	}
	for _, d := range f.all() {
		if !dead[d] {
			f.tell(leave, d)
		}
	}
	f.running.Wait()
	for _, d := range f.all() {
		if d.version == packet.V5 && !dead[d] {
			continue
		}
		rig.Eventually(t, fmt.Sprintf("the session of device %d is ended", d.number), func() error { return d.endSession() })
	}
}

// endSession connects with a clean session that ends at once.
func (d *device) endSession() error {
	c, err := d.dial(context.Background(), 0)
	if err != nil {
		return err
	}
	defer c.close()
	connack, err := c.open(context.Background(), &packet.Connect{Version: d.version, ClientID: d.names.client(d.number), CleanStart: true})
	if err != nil {
		return err
	}
	if connack.Reason != packet.Success {
		return fmt.Errorf("CONNACK %v", connack.Reason)
	}
	return c.write(&packet.Disconnect{})
}
