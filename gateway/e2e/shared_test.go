package e2e

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"sluice/amqp/message"
	"sluice/gateway/e2e/rig"
	"sluice/mqtt/mqtttest"
	"sluice/mqtt/packet"
)

// member starts mosquitto_sub as a member of a group, and waits until it has subscribed.
func member(t *testing.T, n *rig.Node, bus *rig.Bus, version int, filter string, qos packet.QoS) *rig.Process {
	t.Helper()
	ready := rig.Prefix(t) + "/ready"
	p := rig.Run(t, rig.Env(t, rig.EnvMosquittoSub), "-V", mosquittoVersion(version), "-p", port(n.TCP), "-i", rig.Prefix(t),
		"-q", strconv.Itoa(int(qos)), "-t", filter, "-t", ready, "-F", mosquittoMark+"%t|%q|%x|%C|%R|%D|%E|%P|%r")
	rig.Eventually(t, "mosquitto_sub listens to "+filter, func() error {
		bus.Publish(bus.Message(ready, nil, 0))
		if !p.Has(ready) {
			return fmt.Errorf("no message on %s yet", ready)
		}
		return nil
	})
	return p
}

// identified are messages with a message-id of their own, as "exactly once" needs.
func identified(t *testing.T, bus *rig.Bus, topic string, n int) []*message.Message {
	messages := numbered(bus, topic, n)
	for i, m := range messages {
		m.Properties.MessageID = rig.Prefix(t) + "#" + strconv.Itoa(i)
	}
	return messages
}

// Each message of a group goes to one member, on whichever node, and all members get some.
func TestASharedSubscriptionSpansNodes(t *testing.T) {
	const messages = 300
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		bus := rig.OpenBus(t, first)
		for _, version := range []int{4, 5} {
			for qos := packet.QoS(0); qos <= 2; qos++ {
				t.Run(fmt.Sprintf("mqtt%d-qos%d", version, qos), func(t *testing.T) {
					t.Parallel()
					topic := rig.Prefix(t) + "/x"
					var members []*rig.Process
					for _, n := range []*rig.Node{first, second, second} {
						members = append(members, member(t, n, bus, version, "$share/g/"+topic, qos))
					}
					sent := messages + allTakePart(t, bus, topic, members)
					bus.SendAll(identified(t, bus, topic, messages))
					rig.Eventually(t, "the group has every message", func() error {
						if n := len(comeTo(t, members, topic)); n < sent {
							return fmt.Errorf("%d", n)
						}
						return nil
					})
					for payload, n := range comeTo(t, members, topic) {
						if n != 1 {
							t.Errorf("message %q came %d times", payload, n)
						}
					}
					for _, p := range members {
						p.Terminate()
						p.Wait()
					}
					bus.ExpectNobody(topic)
				})
			}
		}
	})
}

// allTakePart sends messages until each member has got one, and gives their number. SUBACK does not wait for the member's link.
func allTakePart(t *testing.T, bus *rig.Bus, topic string, members []*rig.Process) (sent int) {
	t.Helper()
	rig.Eventually(t, "each member gets messages of the group", func() error {
		round := identified(t, bus, topic, len(members))
		for _, m := range round {
			m.Data[0] = fmt.Append(nil, "at first ", sent)
			sent++
		}
		bus.SendAll(round)
		for i, p := range members {
			if len(comeTo(t, []*rig.Process{p}, topic)) == 0 {
				return fmt.Errorf("member %d has nothing after %d messages", i, sent)
			}
		}
		return nil
	})
	return sent
}

// comeTo counts what the members got, by payload.
func comeTo(t *testing.T, members []*rig.Process, topic string) map[string]int {
	t.Helper()
	got := map[string]int{}
	for _, p := range members {
		for _, m := range mosquittoMessages(t, p) {
			if m.Topic == topic {
				got[string(m.Payload)]++
			}
		}
	}
	return got
}

// nextPublish is the next message of d, not acknowledged.
func nextPublish(d *mqtttest.Device) *packet.Publish { return mqtttest.Expect[*packet.Publish](d) }

// groupSilence is how long a test waits to see that a member is not given a message. A message that goes back to its group is with the next member
// within milliseconds.
const groupSilence = 500 * time.Millisecond

// What a lost member had not acknowledged at QoS 1 goes to the others (MQTT 5, 4.8.2).
func TestALostMembersMessagesGoBackToTheGroup(t *testing.T) {
	const messages = 5
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		bus := rig.OpenBus(t, first)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			id := rig.Prefix(t)
			topic, filter := id+"/x", "$share/g/"+id+"/x"
			lost, _ := rig.Dial(t, first, v, rig.Persistent(id+"-1"))
			lost.Subscribe(filter, 1)
			bus.SendAll(identified(t, bus, topic, messages))
			nextPublish(lost)
			other, _ := rig.Dial(t, second, v, rig.Clean(id+"-2"))
			other.Subscribe(filter, 1)
			lost.Close()
			got := map[string]bool{}
			for len(got) < messages {
				got[string(other.Collect(1)[0].Payload)] = true
			}
			back, connack := rig.Dial(t, second, v, rig.Persistent(id+"-1"))
			if !connack.SessionPresent {
				t.Error("no session")
			}
			back.ExpectNothing(groupSilence)
			unsubscribe(t, back, id, filter)
			back.Disconnect()
			other.Disconnect()
			forget(t, first, bus, v, id+"-1", topic)
		})
	})
}

// A QoS 2 delivery that has begun stays with its member, wherever that comes back, under its packet identifier [MQTT-4.8.2-4].
func TestABegunQoS2DeliveryStaysWithItsMember(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		bus := rig.OpenBus(t, first)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			id := rig.Prefix(t)
			topic, filter := id+"/x", "$share/g/"+id+"/x"
			mine, _ := rig.Dial(t, first, v, rig.Persistent(id+"-1"))
			mine.Subscribe(filter, 2)
			bus.SendAll(identified(t, bus, topic, 1))
			begun := nextPublish(mine)
			other, _ := rig.Dial(t, second, v, rig.Clean(id+"-2"))
			other.Subscribe(filter, 2)
			mine.Close()
			other.ExpectNothing(groupSilence)
			back, _ := rig.Dial(t, second, v, rig.Persistent(id+"-1"))
			again := nextPublish(back)
			if again.ID != begun.ID || !again.Dup || string(again.Payload) != string(begun.Payload) {
				t.Errorf("came back as %s, was %s", mqtttest.Describe(again), mqtttest.Describe(begun))
			}
			back.Send(&packet.Ack{Kind: packet.PUBREC, ID: again.ID})
			back.ExpectAck(packet.PUBREL, again.ID)
			back.Send(&packet.Ack{Kind: packet.PUBCOMP, ID: again.ID})
			back.Disconnect()
			// The group goes on.
			bus.SendAll(identified(t, bus, topic, 1))
			other.Collect(1)
			other.Disconnect()
			forget(t, first, bus, v, id+"-1", topic)
		})
	})
}

// When the session of the member ends first, the message ends with it [MQTT-4.8.2-5].
func TestABegunQoS2DeliveryEndsWithItsSession(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		bus := rig.OpenBus(t, first)
		id := rig.Prefix(t)
		topic, filter := id+"/x", "$share/g/"+id+"/x"
		mine, _ := rig.Dial(t, first, packet.V5, rig.Persistent(id+"-1"))
		mine.Subscribe(filter, 2)
		bus.SendAll(identified(t, bus, topic, 1))
		nextPublish(mine)
		other, _ := rig.Dial(t, second, packet.V5, rig.Clean(id+"-2"))
		other.Subscribe(filter, 2)
		mine.Close()
		ended, _ := rig.Dial(t, second, packet.V5, rig.Clean(id+"-1"))
		ended.Disconnect()
		other.ExpectNothing(groupSilence)
		other.Disconnect()
		bus.ExpectNobody(topic)
	})
}

// What a member refuses is offered to no other [MQTT-4.8.2-6].
func TestARefusedMessageGoesToNoOtherMember(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		bus := rig.OpenBus(t, first)
		for qos := packet.QoS(1); qos <= 2; qos++ {
			id := rig.Prefix(t)
			topic, filter := id+"/x", "$share/g/"+id+"/x"
			members := make([]*mqtttest.Device, 2)
			for i, n := range []*rig.Node{first, second} {
				members[i], _ = rig.Dial(t, n, packet.V5, rig.Clean(fmt.Sprint(id, "-", i)))
			}
			members[0].Subscribe(filter, qos)
			bus.SendAll(identified(t, bus, topic, 1))
			p := nextPublish(members[0])
			members[1].Subscribe(filter, qos)
			kind := packet.PUBACK
			if qos == 2 {
				kind = packet.PUBREC
			}
			members[0].Send(&packet.Ack{Kind: kind, ID: p.ID, Reason: packet.ImplementationSpecificError})
			members[1].ExpectNothing(groupSilence)
			members[0].Disconnect()
			members[1].Disconnect()
			bus.ExpectNobody(topic)
		}
	})
}

// While every member is away, messages wait; the queue goes with the last member, in whichever way it goes.
func TestTheQueueOfAGroupLivesAsLongAsItsMembers(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		first, second := rig.Pair(t, b)
		bus := rig.OpenBus(t, first)
		rig.Versions(t, func(t *testing.T, v packet.Version) {
			for _, way := range []string{"unsubscribe", "clean start", "end of the connection"} {
				id := rig.Prefix(t)
				topic, filter := id+"/x", "$share/g/"+id+"/x"
				options := rig.Persistent(id)
				if way == "end of the connection" {
					options = rig.Clean(id)
				}
				d, _ := rig.Dial(t, first, v, options)
				d.Subscribe(filter, 1)
				if way != "end of the connection" {
					leave(d)
					bus.SendAll(identified(t, bus, topic, 3))
					d, _ = rig.Dial(t, second, v, options)
					d.Collect(3)
				}
				switch way {
				case "unsubscribe":
					unsubscribe(t, d, id, filter)
					bus.ExpectNobody(topic)
					// A new group under the old name works.
					d.Subscribe(filter, 1)
					bus.SendAll(identified(t, bus, topic, 1))
					d.Collect(1)
					d.Disconnect()
					forget(t, first, bus, v, id, topic)
				case "clean start":
					d.Disconnect()
					forget(t, first, bus, v, id, topic)
				default:
					d.Disconnect()
					bus.ExpectNobody(topic)
				}
			}
		})
	})
}

// A session may have the same message by a shared subscription and by an ordinary one: they are two subscriptions, two deliveries.
func TestSharedAndOrdinarySubscriptionsOfOneSession(t *testing.T) {
	rig.Each(t, func(t *testing.T, b rig.Backend) {
		n := rig.Start(t, b)
		bus := rig.OpenBus(t, n)
		for qos := packet.QoS(0); qos <= 2; qos++ {
			id := rig.Prefix(t)
			topic := id + "/x"
			d, _ := rig.Dial(t, n, packet.V5, rig.Clean(id))
			d.Subscribe("$share/g/"+topic, qos)
			d.Subscribe("$share/h/"+topic, qos)
			d.Subscribe(topic, qos)
			bus.SendAll(identified(t, bus, topic, 2))
			got := map[string]int{}
			for _, p := range d.Collect(6) {
				got[string(p.Payload)]++
			}
			if got["0"] != 3 || got["1"] != 3 {
				t.Errorf("QoS %d: got %v, want each three times", qos, got)
			}
			d.Disconnect()
		}
	})
}
