package client

import (
	"context"
	"errors"
	"slices"
	"testing"

	"sluice/amqp"
	"sluice/amqp/topology"
)

// declareExchange makes a topic exchange, or removes it.
func declareExchange(t testing.TB, c *Client, method, name string) {
	t.Helper()
	r := topology.Request{Method: method, Path: "/exchanges/" + name}
	if method == "PUT" {
		r.Body = map[string]any{"type": "topic"}
	}
	responses, err := c.management.Do(deadline(t), []topology.Request{r})
	if err != nil || responses[0].Status != 204 {
		t.Fatalf("%s %s: %v, %v", method, r.Path, responses, err)
	}
}

func TestLookup(t *testing.T) { eachBus(t, testLookup) }

// A look-up tells whether an exchange or a queue is there, sends nothing, and harms nobody, whatever it finds.
func testLookup(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}})
	name := newInbox(t, c, amqp.Inbox{})
	exchange := uniqueName(t)
	for _, tt := range []struct {
		address string
		want    error
	}{
		{"/exchanges/amq.topic", nil},
		{"/queues/" + name, nil},
		{"/exchanges/" + exchange, amqp.ErrNotFound},
		{"/queues/" + exchange, amqp.ErrNotFound},
	} {
		if err := c.Lookup(deadline(t), tt.address); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.address, err, tt.want)
		}
	}
	declareExchange(t, c, "PUT", exchange)
	defer declareExchange(t, c, "DELETE", exchange)
	if err := c.Lookup(deadline(t), "/exchanges/"+exchange); err != nil {
		t.Errorf("once it is there: %v", err)
	}
	mustAccept(t, c, textMessage(to(name), "x"))
	if ds := drain(t, c, name, 1); string(ds[0].Message.Data[0]) != "x" {
		t.Errorf("the inbox had %q", ds[0].Message.Data)
	}
}

func TestLookupOfABusThatIsAway(t *testing.T) {
	c, err := Open(Options{URLs: []string{"amqp://127.0.0.1:1"}, Kind: topology.Bindings})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }()
	if err := c.Lookup(deadline(t), "/queues/q"); !errors.Is(err, amqp.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestOtherExchanges(t *testing.T) { eachBus(t, testOtherExchanges) }

// An inbox may be bound to several exchanges. One that is missing does not keep the rest from being bound.
func testOtherExchanges(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}})
	ctx := deadline(t)
	name, exchange := newInbox(t, c, amqp.Inbox{}), uniqueName(t)
	both := []amqp.Binding{{Exchange: exchange, Pattern: "a.*"}, {Pattern: name + ".*"}}
	var missing *amqp.MissingExchanges
	if err := c.Subscribe(ctx, name, both); !errors.As(err, &missing) || !slices.Equal(missing.Names, []string{exchange}) || !errors.Is(err, amqp.ErrRefused) {
		t.Fatalf("an exchange that is missing: %v", err)
	}
	mustAccept(t, c, textMessage(to(name+".1"), "bound all the same"))
	if err := c.Unsubscribe(ctx, name, both); err != nil {
		t.Errorf("unbinding what was never bound: %v", err)
	}
	declareExchange(t, c, "PUT", exchange)
	defer declareExchange(t, c, "DELETE", exchange)
	if err := c.Subscribe(ctx, name, both); err != nil {
		t.Fatal(err)
	}
	mustAccept(t, c, textMessage("/exchanges/"+exchange+"/a.b", "from the other"))
	if ds := drain(t, c, name, 2); string(ds[0].Message.Data[0]) != "bound all the same" || string(ds[1].Message.Data[0]) != "from the other" {
		t.Errorf("got %q and %q", ds[0].Message.Data, ds[1].Message.Data)
	}
	if err := c.Unsubscribe(ctx, name, both); err != nil {
		t.Fatal(err)
	}
	if o := publish(t, c, 0, textMessage("/exchanges/"+exchange+"/a.b", "x")); o.Kind.String() != "released" {
		t.Errorf("after unsubscribing: %v", o.Kind)
	}
}
