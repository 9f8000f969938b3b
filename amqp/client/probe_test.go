package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/amqp"
	"sluice/amqp/topology"
)

func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := newFakeBus(t)
		bus.product = "apache-activemq-artemis"
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		info, err := Probe(ctx, Options{URLs: []string{"amqp://dead", "amqp://alive"}, Dial: bus.dial})
		if err != nil || info.Product != bus.product {
			t.Errorf("the second host: %+v, %v", info, err)
		}
		started := time.Now()
		_, err = Probe(ctx, Options{URLs: []string{"amqp://dead", "amqp://u:secret@dead"}, Dial: bus.dial})
		if !errors.Is(err, amqp.ErrUnavailable) || !strings.Contains(err.Error(), "dead:5672: ") || strings.Contains(err.Error(), "secret") || time.Since(started) != 0 {
			t.Errorf("a bus that is not there: %v after %v, want unavailable at once", err, time.Since(started))
		}
		if _, err := Probe(ctx, Options{}); err == nil {
			t.Error("no URL is no error")
		}
	})
}

// A bus of another kind would accept the addresses of ours and put messages where nobody looks: it is not used, and Ready says why.
func TestBusOfAnotherKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := newFakeBus(t)
		bus.product = "apache-activemq-artemis"
		c, err := Open(Options{URLs: []string{"amqp://alive"}, Dial: bus.dial, Kind: topology.Bindings})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // of the bubble
		if err := c.Ready(t.Context()); !errors.Is(err, amqp.ErrRefused) || !strings.Contains(err.Error(), "apache-activemq-artemis") {
			t.Errorf("ready: %v, want refused with the name of the bus", err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
