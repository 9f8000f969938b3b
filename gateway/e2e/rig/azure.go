package rig

import (
	"net"
	"sync"
	"testing"

	"sluice/amqp/embedded"
	"sluice/amqp/embedded/servicebus"
	"sluice/sessionstore/memory"
)

// The shared access rule of Azure.
const (
	AzureRule = "root"
	AzureKey  = "c2hhcmVkIGtleQ=="
)

// Azure is an embedded bus that acts as Service Bus or Event Hubs with these entities. Sessions are where sessionsURL says; empty keeps them in
// memory, outside of any node. It ends with the test.
func Azure(t testing.TB, o servicebus.Options, sessionsURL string) (Backend, *embedded.Broker) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if o.Keys == nil {
		o.Keys = map[string]string{AzureRule: AzureKey}
	}
	broker := embedded.New(embedded.Options{Logger: Logger(t), ServiceBus: &o})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := broker.Serve(l); err != nil {
			t.Errorf("the embedded bus ended: %v", err)
		}
	})
	t.Cleanup(func() {
		broker.Close()
		serving.Wait()
	})
	b := Backend{Name: "azure", Shared: true, busURL: "amqp://" + AzureRule + ":" + AzureKey + "@" + l.Addr().String(), sessionsURL: sessionsURL}
	if sessionsURL == "" {
		store := memory.New(memory.Options{})
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Errorf("closing the sessions in memory: %v", err)
			}
		})
		b.store = store
	}
	return b, broker
}

// BusURL is where the bus is, credentials included; empty where it is in the node.
func (b Backend) BusURL() string { return b.busURL }
