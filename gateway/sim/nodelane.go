package sim

import (
	"context"
	"fmt"
	"slices"

	"sluice/amqp"
	"sluice/amqp/message"
	"sluice/gateway/bridge"
	"sluice/mapping"
	"sluice/mqtt/topic"
)

// nodeLane brings QoS 0 subscriptions (gateway/nodelane.go): one inbox per node, fanned out here.
type nodeLane struct {
	n        *node
	inbox    string
	bound    []string
	wanted   []nodeWish
	receiver *receiver
	markers  map[string]func() // by name: what waits for them
	named    int
}

type nodeWish struct {
	filter string
	sh     *shell
}

func (l *nodeLane) add(sh *shell, filters []string, done func(error)) {
	missing := without(filters, l.bound)
	join := func() {
		if sh.scope.ended {
			done(context.Canceled)
			return
		}
		for _, f := range filters {
			if wish := (nodeWish{f, sh}); !slices.Contains(l.wanted, wish) {
				l.wanted = append(l.wanted, wish)
			}
		}
		done(nil)
	}
	if len(missing) == 0 {
		join()
		return
	}
	l.n.bus.ensureInbox(amqp.Inbox{Name: l.inbox}, func(err error) {
		if err != nil {
			done(err)
			return
		}
		if l.receiver == nil {
			l.receiver = l.n.bus.attach(l.inbox, 100, l.prepare, l)
		}
		l.n.bus.subscribe(l.inbox, patterns(missing), func(err error) {
			if err != nil {
				done(err)
				return
			}
			l.bound = with(l.bound, missing)
			join()
		})
	})
}

// remove ends the shell's subscriptions. Bindings stay: what they bring then matches nobody, as when the bus is out of reach.
func (l *nodeLane) remove(sh *shell, filters []string) {
	l.wanted = slices.DeleteFunc(l.wanted, func(w nodeWish) bool { return w.sh == sh && slices.Contains(filters, w.filter) })
}

func (l *nodeLane) prepare(done func(error)) {
	l.n.bus.ensureInbox(amqp.Inbox{Name: l.inbox}, func(err error) {
		if err != nil {
			done(err)
			return
		}
		l.n.bus.subscribe(l.inbox, patterns(l.bound), done)
	})
}

func (l *nodeLane) attached()           {}
func (l *nodeLane) detached(error) bool { return true }
func (l *nodeLane) delivered(_ uint64, m *message.Message, _ bool) {
	if name := mapping.MarkerName(m); name != "" {
		if came := l.markers[name]; came != nil {
			came()
		}
		return
	}
	d, _, err := mapping.Downlink(m, mapping.DownlinkOptions{Now: l.n.w.now, SkipIdentity: true})
	if err != nil {
		l.n.w.fail("node lane: %v", err)
		return
	}
	var told []*shell
	for _, w := range l.wanted {
		if topic.Match(w.filter, d.Publish.Topic) && !slices.Contains(told, w.sh) {
			told = append(told, w.sh)
		}
	}
	fanout := bridge.Fanout(&d)
	for _, sh := range told {
		sh.post(fanout)
	}
}

// flush calls done when all that the node's inbox had got has been handed to the devices (gateway/nodeflush.go).
func (l *nodeLane) flush(sh *shell, done func(error)) {
	if l.receiver == nil {
		done(nil)
		return
	}
	l.named++
	name := fmt.Sprintf("%s-%d", l.n.life, l.named)
	came, wake := false, func() {}
	l.markers[name] = func() {
		came = true
		wake()
	}
	sh.retry(func(done func(error)) {
		answered := false
		end := func(err error) {
			if !answered {
				answered = true
				done(err)
			}
		}
		marker := mapping.Marker(mapping.RabbitMQ, mapping.RabbitMQ.ToQueue(l.inbox), name)
		l.n.bus.publish(marker, false, func(o message.Outcome) {
			switch {
			case o.Kind != message.Accepted:
				end(amqp.ErrUnavailable)
			case came:
				end(nil)
			default:
				wake = func() { end(nil) }
				l.n.after(markerWait, func() { end(amqp.ErrUnavailable) })
			}
		})
	}, func(err error) {
		delete(l.markers, name)
		done(err)
	})
}
