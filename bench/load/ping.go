package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/mqtt/packet"
)

// Pings sends a PINGREQ on every connection, one after the other, so that each has one in the time every, until ctx ends. The PINGRESP must be there
// when it is the connection's turn again. The devices are started.
func (f Fleet) Pings(ctx context.Context, every time.Duration) error {
	turn := time.NewTicker(max(every/time.Duration(len(f)), pingPause))
	defer turn.Stop()
	for began, sent := time.Now(), 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-turn.C:
		}
		// A tick may come late or stand for many: what counts is how many are due by now.
		for due := int(float64(time.Since(began)) / float64(every) * float64(len(f))); sent < due; sent++ {
			i := sent % len(f)
			if err := f[i].ping(); err != nil {
				return fmt.Errorf("device %d: %w", i, err)
			}
		}
	}
}

// Answer waits until every PINGREQ has its PINGRESP: then every connection is there, and its server serves it.
func (f Fleet) Answer(ctx context.Context) error {
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

// PingAll pings every connection once and waits for all answers.
func (f Fleet) PingAll(ctx context.Context) error {
	if err := f.Answer(ctx); err != nil {
		return err
	}
	for i, d := range f {
		if err := d.ping(); err != nil {
			return fmt.Errorf("device %d: %w", i, err)
		}
	}
	return f.Answer(ctx)
}

func (d *Device) ping() error {
	if d.pinged.Swap(true) {
		return errors.New("the PINGREQ before has no answer yet")
	}
	d.mu.Lock()
	var err error
	d.out, err = packet.Append(d.out, &packet.Pingreq{}, packet.V5)
	d.mu.Unlock()
	if err != nil {
		return err
	}
	return d.flush()
}

func (d *Device) ponged() error {
	if !d.pinged.Swap(false) {
		return errors.New("a PINGRESP that nobody asked for")
	}
	return nil
}
