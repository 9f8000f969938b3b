package client

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"sluice/amqp"
	"sluice/amqp/message"
)

func TestOutcomes(t *testing.T) { eachBus(t, testOutcomes) }

func testOutcomes(t *testing.T, url string) {
	c := open(t, Options{URLs: []string{url}})
	full := newInbox(t, c, amqp.Inbox{MaxLength: 1})
	for _, tt := range []struct {
		name, to string
		want     message.OutcomeKind
		cond     string
	}{
		{"routed", to(full), message.Accepted, ""},
		{"queue full", to(full), message.Rejected, "amqp:resource-limit-exceeded"},
		{"nobody subscribed", to(uniqueName(t)), message.Released, ""},
		{"no such exchange", "/exchanges/nowhere/x", message.Rejected, "amqp:not-found"},
		{"bad address", "somewhere", message.Rejected, "amqp:precondition-failed"},
	} {
		o := publish(t, c, 0, textMessage(tt.to, tt.name))
		if o.Kind != tt.want || tt.cond == "" && o.Error != nil || tt.cond != "" && (o.Error == nil || o.Error.Condition != tt.cond) {
			t.Errorf("%s: outcome %v (%v), want %v %s", tt.name, o.Kind, o.Error, tt.want, tt.cond)
		}
		if tt.name != "queue full" || o.Error == nil {
			continue
		}
		if info := o.Error.Info; fmt.Sprint(info["reason"]) != "maxlen" || info["queue"] != full {
			t.Errorf("the error's info is %v", info)
		}
	}
}

func TestRabbitInfo(t *testing.T) {
	c := open(t, Options{})
	if info := c.Info(); info.Product != "RabbitMQ" || !strings.HasPrefix(info.Version, "4.") || info.MaxMessageSize == 0 {
		t.Errorf("Info %+v", info)
	}
}

func TestPipelinedPublishesKeepOrder(t *testing.T) { eachBus(t, testPipelinedPublishesKeepOrder) }

func testPipelinedPublishesKeepOrder(t *testing.T, url string) {
	const n = 20000
	c := open(t, Options{URLs: []string{url}, Queue: n})
	name := newInbox(t, c, amqp.Inbox{})
	r := &recorder{}
	rcv := c.Attach(amqp.Source{Inbox: name, Settled: true, Credit: 1000}, r)
	r.waitAttached(t, 1)
	var wg sync.WaitGroup
	wg.Add(n)
	var mu sync.Mutex
	failed := 0
	for i := range n {
		c.Publish(7, textMessage(to(name), fmt.Sprint(i)), false, func(o message.Outcome) {
			if o.Kind != message.Accepted {
				mu.Lock()
				failed++
				mu.Unlock()
			}
			wg.Done()
		})
	}
	wg.Wait()
	if failed > 0 {
		t.Fatalf("%d of %d were not accepted", failed, n)
	}
	for i, got := range texts(r.waitDeliveries(t, n)) {
		if got != fmt.Sprint(i) {
			t.Fatalf("delivery %d is message %s", i, got)
		}
	}
	closeReceiver(t, rcv)
}
