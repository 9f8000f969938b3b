package events

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/mqtt/packet"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 891234567, time.UTC)

// Backends parse this: a change here is a change of the contract in docs/events.md.
func TestEncode(t *testing.T) {
	e := Event{
		Type: PublishRefused, Time: start, Account: Account{Client: "not told"},
		Trace: "0af7651916cd43dd8448eb211c80319c", Tenant: "default", Principal: "p", Client: "hall\x01",
		Name: "queue-full", Reason: packet.QuotaExceeded, HasReason: true, Condition: "sluice:queue-full", Message: "A queue for this topic is full.",
		Detail: "rejected", Topic: "a/b", HasQoS: true, PacketID: 7, MessageID: "m-1", Rule: "r",
	}
	m := Encode(&e, "n1", "n1-x-1", "/queues/q")
	var got map[string]any
	if err := json.Unmarshal(m.Data[0], &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"specversion": "1.0", "type": "sluice.publish.refused", "id": "n1-x-1", "source": "/sluice/nodes/n1", "time": "2026-03-04T05:06:07.891234567Z",
		"subject": "hall", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-" + got["traceparent"].(string)[36:52] + "-01", "datacontenttype": "application/json",
		"data": map[string]any{
			"trace": e.Trace, "tenant": "default", "principal": "p", "client": "hall\x01", "name": "queue-full", "reason_code": 151.0, "reason": "Quota exceeded",
			"condition": "sluice:queue-full", "message": e.Message, "detail": "rejected", "topic": "a/b", "qos": 0.0, "packet_id": 7.0, "message_id": "m-1", "rule": "r",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the document (-want +got):\n%s", diff)
	}
	p := m.Properties
	if p.To != "/queues/q" || p.MessageID != "n1-x-1" || p.Subject != "sluice.publish.refused" || p.ContentType != ContentType || !m.Header.Durable || m.Header.TTL != Life {
		t.Errorf("the message: %+v %+v", m.Header, p)
	}
	if p.CreationTime != start.Truncate(time.Millisecond) || p.AbsoluteExpiry.Sub(p.CreationTime) != Life {
		t.Errorf("created %v, expires %v", p.CreationTime, p.AbsoluteExpiry)
	}
}

func TestTraceParentOfNoTraceIsAbsent(t *testing.T) {
	for _, trace := range []string{"", "0af7651916cd43dd8448eb211c80319", "0AF7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000", "0af7651916cd43dd8448eb211c80319g"} {
		if got := traceParent(trace, "id"); got != "" {
			t.Errorf("%q gives %q", trace, got)
		}
	}
}

func event(client string) Event {
	return Event{Type: PublishRefused, Account: Account{Tenant: "t", Principal: "anonymous", Client: client}, Client: client}
}

func TestAnAccountHasItsShareAndTheRestIsCounted(t *testing.T) {
	var l Limiter
	noisy, quiet := event("noisy"), event("quiet")
	for i := range 25 {
		if allowed := l.Allow(start, &noisy); allowed != (i < accountEvents) {
			t.Fatalf("event %d allowed: %v", i+1, allowed)
		}
	}
	denied := noisy
	denied.Type = SubscriptionDenied
	l.Allow(start, &denied)
	if !l.Allow(start.Add(time.Second), &quiet) {
		t.Error("one account takes another's share")
	}
	if told := l.Remainders(start.Add(windowTime - 1)); told != nil {
		t.Errorf("told before the window is over: %+v", told)
	}
	told := l.Remainders(start.Add(windowTime))
	if len(told) != 1 || told[0].Client != "noisy" || told[0].Count != 6 || told[0].Suppression[PublishRefused] != 5 || told[0].Suppression[SubscriptionDenied] != 1 {
		t.Errorf("told %+v", told)
	}
	if !l.Allow(start.Add(windowTime), &noisy) {
		t.Error("a new window has no share")
	}
	if told := l.All(start.Add(windowTime)); told != nil {
		t.Errorf("nothing was held back, and told is %+v", told)
	}
	if len(l.accounts)+len(l.order) != 0 {
		t.Error("closed windows are kept")
	}
}

// Whatever comes, each event is allowed or counted, no account gets more than its share in a window, all together no more than the node's, and the
// memory is bounded.
func TestLimiterLosesNoCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Limiter
		now, offered, allowed, told := start, uint64(0), uint64(0), uint64(0)
		collect := func(events []Event) {
			for _, e := range events {
				told += e.Count
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				now = now.Add(time.Duration(rapid.IntRange(0, 15000).Draw(t, "ms")) * time.Millisecond)
			case 1:
				collect(l.Remainders(now))
			default:
				many, each := rapid.IntRange(1, 300).Draw(t, "accounts"), rapid.IntRange(1, 30).Draw(t, "each")
				for i := range many {
					e := event(fmt.Sprint(i))
					for range each {
						offered++
						if l.Allow(now, &e) {
							allowed++
						}
					}
				}
			}
			if l.node.count > nodeEvents {
				t.Fatalf("%d events in one window of the node", l.node.count)
			}
		}
		collect(l.All(now))
		if allowed+told != offered {
			t.Fatalf("of %d events %d were allowed and %d counted", offered, allowed, told)
		}
	})
}

func TestTooManyAccountsShareOne(t *testing.T) {
	var l Limiter
	for i := range accountsMax + 500 {
		e := event(fmt.Sprint(i))
		l.Allow(start, &e)
	}
	if len(l.accounts) > accountsMax+1 {
		t.Errorf("%d accounts are kept", len(l.accounts))
	}
}
