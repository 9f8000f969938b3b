package main

// defect is a mistake that could be made in the production code.
type defect struct {
	name  string
	file  string // from the module's root
	edits []edit
	seeds int // within which it must be found
}

// edit replaces a text that is in the file exactly once.
type edit struct{ old, new string }

// defects are planted one at a time.
//
// Wills fired twice and timers that leak get their entries here once the store keeps wills and timers.
var defects = []defect{
	{
		name: "PUBACK before the bus's outcome", file: "mqtt/session/inbound.go", seeds: 20,
		edits: []edit{{
			"\tm.handOver(&m.up.qos1, p, m.nextMessageID(), p.Dup)\n",
			"\tm.handOver(&m.up.qos1, p, m.nextMessageID(), p.Dup)\n\tm.publishAnswered(PublishAnswered{Token: m.up.tokens<<2 | 1})\n",
		}},
	},
	{
		name: "a refusal of the bus taken for success", file: "mapping/outcome.go", seeds: 100,
		edits: []edit{{"\t\treturn classifyRejected(o.Error)\n", "\t\treturn answerAccepted\n"}},
	},
	{
		name: "a transient outcome taken for success", file: "mapping/outcome.go", seeds: 100,
		edits: []edit{{"\treturn answerHeld // modified", "\treturn answerAccepted // modified"}},
	},
	{
		name: "the store forgets to compare the epoch", file: "sessionstore/memory/store.go", seeds: 50,
		edits: []edit{{"held == nil || held.epoch != f.Epoch || held.owner == \"\"", "held == nil || held.owner == \"\""}},
	},
	{
		name: "the session goes on although it is fenced", file: "mqtt/session/store.go", seeds: 100,
		edits: []edit{{"\t\tif ev.Err == StoreOK {\n", "\t\tif ev.Err != StoreUnavailable {\n"}},
	},
	{
		name: "young messages pass those that are held", file: "gateway/bridge/uplink.go", seeds: 200,
		edits: []edit{{"\tif !u.holding {\n\t\treturn b.send(entry, out)\n", "\tif true {\n\t\treturn b.send(entry, out)\n"}},
	},
	{
		name: "held messages sent in reverse", file: "gateway/bridge/uplink.go", seeds: 200,
		edits: []edit{{
			"\tfor _, e := range u.entries {\n\t\tif !e.sent {\n\t\t\tout = b.send(e, out)\n",
			"\tfor i := len(u.entries) - 1; i >= 0; i-- {\n\t\te := u.entries[i]\n\t\tif !e.sent {\n\t\t\tout = b.send(e, out)\n",
		}},
	},
	{
		name: "PUBLISH sent past one that waits for its record", file: "mqtt/session/outbound.go", seeds: 200,
		edits: []edit{{"\tm.note(PutOutbound{Record: o.rec})\n\to.ready = true\n\tm.sendQueued()\n", "\tm.note(PutOutbound{Record: o.rec})\n\to.ready = true\n\td.queue = append([]*outbound{o}, d.queue[:len(d.queue)-1]...)\n\tm.sendQueued()\n"}},
	},
	{
		name: "the QoS 2 mark is not stored", file: "mqtt/session/inbound2.go", seeds: 50,
		edits: []edit{{"\tm.store(next, PutInbound{Record: r.rec})\n", "\tm.store(next, PutInbound{Record: Inbound{ID: r.rec.ID, MessageID: r.rec.MessageID}})\n"}},
	},
	{
		name: "a QoS 2 message that comes again gets a new message-id", file: "mqtt/session/inbound2.go", seeds: 200,
		edits: []edit{{"\tr.dup = true\n\treturn true\n", "\tr.dup = true\n\tr.rec.MessageID = m.nextMessageID()\n\treturn true\n"}},
	},
	{
		name: "PUBCOMP before the record is gone", file: "mqtt/session/inbound2.go", seeds: 50,
		edits: []edit{{
			"\t\tm.store(pendingStore{then: thenPubcomp, pid: p.ID}, DeleteInbound{ID: p.ID})\n",
			"\t\tm.note(DeleteInbound{ID: p.ID})\n\t\tm.goOn(pendingStore{then: thenPubcomp, pid: p.ID})\n",
		}},
	},
	{
		name: "PUBREL forgotten after a resume", file: "mqtt/session/resume.go", seeds: 200,
		edits: []edit{{"\t\tm.sendAck(packet.PUBREL, rec.ID, packet.Success, \"\")\n", ""}},
	},
	{
		name: "credit leaks with each message", file: "mqtt/session/outbound.go", seeds: 20,
		edits: []edit{{"\tm.down.credit--\n", ""}},
	},
	{
		name: "settled before the device has acknowledged", file: "mqtt/session/outbound.go", seeds: 20,
		edits: []edit{{"\tm.note(PutOutbound{Record: o.rec})\n\to.ready = true\n", "\tm.note(PutOutbound{Record: o.rec})\n\tm.settle(o.delivery, o.rec.Identity, accepted)\n\to.ready = true\n"}},
	},
	{
		name: "a message begun earlier gets a new packet identifier", file: "mqtt/session/redelivery.go", seeds: 100,
		edits: []edit{{"\tif m.down.stale == 0 {\n\t\treturn nil\n", "\tif true {\n\t\treturn nil\n"}},
	},
	{
		name: "DUP forgotten on a message sent again", file: "mqtt/session/redelivery.go", seeds: 100,
		edits: []edit{{"\tp.ID, p.Dup = o.rec.ID, true\n", "\tp.ID = o.rec.ID\n"}},
	},
	{
		name: "QoS 2 sent without its record", file: "mqtt/session/outbound.go", seeds: 20,
		edits: []edit{{
			"\t\tm.store(pendingStore{then: thenSend, out: o}, PutOutbound{Record: o.rec})\n\t\treturn\n",
			"",
		}},
	},
	{
		name: "records of complete exchanges stay", file: "mqtt/session/exchange.go", seeds: 50,
		edits: []edit{{"\t\tm.remove(o)\n\t\tm.note(DeleteOutbound{ID: o.rec.ID})\n", "\t\tm.remove(o)\n"}},
	},
	{
		name: "a lane joined after Finish", file: "gateway/bridge/bridge.go", seeds: 300,
		edits: []edit{{"\tif b.finished {\n", "\tif false {\n"}},
	},
}
