package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/mqtt/packet"
)

// keepPinging sends a PINGREQ twice in each keep alive until silence, whether or not other packets go. The answer to one must be there when the next is due.
func (d *Device) keepPinging() {
	if d.keepAlive == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pinger = time.AfterFunc(d.keepAlive/2, d.pingTurn)
}

func (d *Device) pingTurn() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.silent {
		return
	}
	err := errors.New("a PINGREQ has no answer after half the keep alive")
	if !d.pinged.Load() {
		err = d.pingLocked()
	}
	if err != nil {
		d.fail(fmt.Errorf("device %d: %w", d.track, err))
		return
	}
	d.pinger.Reset(d.keepAlive / 2)
}

// silence ends the pings of keepPinging.
func (d *Device) silence() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent = true
	if d.pinger != nil {
		d.pinger.Stop()
	}
}

func (d *Device) pingLocked() (err error) {
	d.pinged.Store(true)
	if d.out, err = packet.Append(d.out, &packet.Pingreq{}, packet.V5); err != nil {
		return err
	}
	return d.flushLocked()
}

func (d *Device) ponged() error {
	if !d.pinged.Swap(false) {
		return errors.New("a PINGRESP that nobody asked for")
	}
	return nil
}

// PingAll pings every connection of devices that are started and waits for all answers: then every connection is there, and its server serves it. The
// devices send no more pings by themselves.
func (f Fleet) PingAll(ctx context.Context) error {
	for i, d := range f {
		d.silence()
		d.mu.Lock()
		var err error
		if !d.pinged.Load() { // else the answer to the last one is awaited
			err = d.pingLocked()
		}
		d.mu.Unlock()
		if err != nil {
			return fmt.Errorf("device %d: %w", i, err)
		}
	}
	for end := time.Now().Add(answerWait); ; {
		missing := 0
		for _, d := range f {
			if d.pinged.Load() {
				missing++
			}
		}
		if missing == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d of %d connections have not answered a PINGREQ for %v", missing, len(f), answerWait)
		}
		select {
		case <-ctx.Done():
			return errStopped
		case <-time.After(pollPause):
		}
	}
}
