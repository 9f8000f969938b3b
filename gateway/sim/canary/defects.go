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
		edits: []edit{{"\tif held.epoch != f.Epoch || held.owner == \"\" {\n", "\tif held.owner == \"\" {\n"}},
	},
	{
		name: "epochs never compared", file: "sessionstore/spent.go", seeds: 500,
		edits: []edit{{"if epochs[i] != f.Epoch {", "if epochs[i] != f.Epoch && false {"}},
	},
	{
		name: "the session goes on although it is fenced", file: "mqtt/session/store.go", seeds: 100,
		edits: []edit{{"\t\tif ev.Err == StoreOK {\n", "\t\tif ev.Err != StoreUnavailable {\n"}},
	},
	{
		name: "young messages pass those that are held", file: "gateway/bridge/uplink.go", seeds: 2000,
		edits: []edit{{"\tif !u.holding {\n\t\treturn b.send(entry, out)\n", "\tif true {\n\t\treturn b.send(entry, out)\n"}},
	},
	{
		name: "held messages sent in reverse", file: "gateway/bridge/uplink.go", seeds: 200,
		edits: []edit{{
			"\tfor _, e := range u.entries {\n\t\tif e.waits() {\n\t\t\tout = b.send(e, out)\n",
			"\tfor i := len(u.entries) - 1; i >= 0; i-- {\n\t\te := u.entries[i]\n\t\tif e.waits() {\n\t\t\tout = b.send(e, out)\n",
		}},
	},
	{
		name: "PUBLISH sent past one that waits for its record", file: "mqtt/session/outbound.go", seeds: 200,
		edits: []edit{{"\t\tm.noteOutbound(o.rec)\n\t}\n\tm.enqueue(o)\n", "\t\tm.noteOutbound(o.rec)\n\t}\n\tm.sendExchange(o)\n"}},
	},
	{
		name: "the QoS 2 mark is not stored", file: "mqtt/session/inbound2.go", seeds: 50,
		edits: []edit{{"\tm.store(next, AcceptInbound{ID: r.rec.ID, MessageID: r.rec.MessageID})\n", "\tm.store(next, PutInbound{Record: Inbound{ID: r.rec.ID, MessageID: r.rec.MessageID}})\n"}},
	},
	{
		name: "a taken-over connection keeps to itself what the bus took", file: "mqtt/session/close.go", seeds: 200,
		edits: []edit{{"\t\tcase inPublishing:\n\t\t\treturn true\n", "\t\tcase inPublishing:\n\t\t\treturn !m.ending.taken\n"}},
	},
	{
		name: "the store does not listen to an owner that lost the session", file: "sessionstore/memory/store.go", seeds: 200,
		edits: []edit{{"op.(sessionstore.AcceptInbound); ok {", "op.(sessionstore.AcceptInbound); ok && false {"}},
	},
	{
		name: "a QoS 2 message that comes again is sent at once", file: "mqtt/session/recall.go", seeds: 200,
		edits: []edit{{"\t\tcase over:\n", "\t\tcase over || true:\n"}},
	},
	{
		name: "new QoS 2 messages pass one whose outcome is looked for", file: "mqtt/session/inbound.go", seeds: 1000,
		edits: []edit{{"\tcase p.QoS == 2 && m.up.recall != nil &&", "\tcase false && m.up.recall != nil &&"}},
	},
	{
		name: "a QoS 2 message that comes again gets a new message-id", file: "mqtt/session/inbound2.go", seeds: 200,
		edits: []edit{{"\tr.dup = true\n\treturn true\n", "\tr.dup = true\n\tr.rec.MessageID = m.nextMessageID()\n\treturn true\n"}},
	},
	{
		name: "PUBCOMP before the record is gone", file: "mqtt/session/inbound2.go", seeds: 50,
		edits: []edit{{
			"\t\tm.store(pendingStore{then: thenPubcomp, pid: p.ID}, DeleteInbound{ID: p.ID})\n",
			"\t\tm.emit(Store{Ops: []Op{DeleteInbound{ID: p.ID}}})\n\t\tm.goOn(pendingStore{then: thenPubcomp, pid: p.ID})\n",
		}},
	},
	{
		name: "PUBREL forgotten after a resume", file: "mqtt/session/resume.go", seeds: 200,
		edits: []edit{{"\t\tm.sendAck(packet.PUBREL, rec.ID, packet.Success, Explanation{})\n", ""}},
	},
	{
		name: "credit leaks with each message", file: "mqtt/session/outbound.go", seeds: 20,
		edits: []edit{{"\tl.credit--\n", ""}},
	},
	{
		name: "settled before the device has acknowledged", file: "mqtt/session/outbound.go", seeds: 20,
		edits: []edit{{"\t\tm.noteOutbound(o.rec)\n\t}\n\tm.enqueue(o)\n", "\t\tm.noteOutbound(o.rec)\n\t}\n\tm.settle(l, o.delivery, o.rec.Identity, accepted)\n\tm.enqueue(o)\n"}},
	},
	{
		name: "a message begun earlier gets a new packet identifier", file: "mqtt/session/redelivery.go", seeds: 100,
		edits: []edit{{"\tif m.down.stale == 0 || identity == \"\" {\n\t\treturn nil\n", "\tif identity != \"\" || m.down.stale == 0 {\n\t\treturn nil\n"}},
	},
	{
		name: "DUP forgotten on a message sent again", file: "mqtt/session/redelivery.go", seeds: 100,
		edits: []edit{{"\tp.ID, p.Dup = o.rec.ID, true\n", "\tp.ID = o.rec.ID\n"}},
	},
	{
		name: "QoS 2 sent without its record", file: "mqtt/session/outbound.go", seeds: 20,
		edits: []edit{{"\tif p.QoS == 2 {\n\t\td.queue = append(d.queue, o)\n", "\tif false {\n\t\td.queue = append(d.queue, o)\n"}},
	},
	{
		name: "records of complete exchanges stay", file: "mqtt/session/store.go", seeds: 50,
		edits: []edit{{"\t\tm.emit(Store{Ops: []Op{DeleteOutbound{ID: id}}})\n", ""}},
	},
	{
		name: "a taken-over connection settles by what it knows", file: "mqtt/session/outbound.go", seeds: 4000,
		edits: []edit{{"\tif ev.Message.Publish.QoS == 0 {\n\t\tm.settle(", "\tif true {\n\t\tm.settle("}},
	},
	{
		// gateway/lanes.go attaches to an inbox that was made; here its model does not.
		name: "begun deliveries wait for a subscription", file: "gateway/sim/lanes.go", seeds: 1000,
		edits: []edit{{"len(e.Session) > 0 || e.Begun || sh.lane.made {", "len(e.Session) > 0 {"}},
	},
	{
		name: "will twice: work that is done stays", file: "sessionstore/memory/work.go", seeds: 50,
		edits: []edit{{"\tdelete(s.work, id)\n\treturn nil\n", "\treturn nil\n"}},
	},
	{
		name: "will twice: two workers get one piece", file: "sessionstore/memory/work.go", seeds: 100,
		edits: []edit{{"\t\tp.until = now.Add(s.times.WorkLease)\n", ""}},
	},
	{
		name: "will fired although the device said goodbye", file: "sessionstore/memory/store.go", seeds: 200,
		edits: []edit{{"\t\tif req.Will == sessionstore.WillDropped {\n", "\t\tif false {\n"}},
	},
	{
		name: "will lost: a dead node takes its wills along", file: "sessionstore/memory/lease.go", seeds: 300,
		edits: []edit{{"\t\theld.release(s.epoch, now, now)\n", "\t\theld.release(s.epoch, now, now)\n\t\theld.dropWill()\n"}},
	},
	{
		name: "a dead node's wills do not wait for its devices", file: "sessionstore/memory/lease.go", seeds: 500,
		edits: []edit{{"if held.will != nil && held.willAt.Before(held.graceUntil) {", "if false {"}},
	},
	{
		// sessionstore/redis tells lives apart by itself; here the model of a node does.
		name: "a node that starts again is taken for the dead one", file: "gateway/sim/node.go", seeds: 500,
		edits: []edit{{"life: fmt.Sprintf(\"%s+%d\", id, w.starts), ", "life: id, "}},
	},
	{
		name: "timer leak: a delayed will fires although the device is back", file: "sessionstore/memory/work.go", seeds: 200,
		edits: []edit{{"\tcase now.Before(held.graceUntil), !over && now.Before(held.willAt):\n\t\theld.dropWill() // the device is back in time\n", "\tcase now.Before(held.graceUntil), !over && now.Before(held.willAt):\n\t\ts.leaveWill(key, held)\n"}},
	},
	{
		name: "timer leak: a session ends and its inbox stays", file: "sessionstore/memory/work.go", seeds: 100,
		edits: []edit{{"if held.will == nil && held.inbox == \"\" && len(held.groups) == 0 {", "if held.will == nil {"}},
	},
	{
		name: "a lane joined after Finish", file: "gateway/bridge/bridge.go", seeds: 300,
		edits: []edit{{"\tif b.finished {\n", "\tif false {\n"}},
	},
	{
		name: "shared: settled before the copy is in an inbox", file: "gateway/bridge/shared.go", seeds: 100,
		edits: []edit{{
			"Topic: d.topic, Identity: d.identity})\n}\n\n// handedOver",
			"Topic: d.topic, Identity: d.identity}, SettleDelivery{Lane: d.lane, Tag: d.tag, Outcome: message.Outcome{Kind: message.Accepted}})\n}\n\n// handedOver",
		}},
	},
	{
		name: "shared: who has taken a message is forgotten", file: "sessionstore/memory/group.go", seeds: 500,
		edits: []edit{{"if first, taken := from.taken[identity]; taken {", "if first, taken := from.taken[identity]; taken && first == by {"}},
	},
	{
		name: "shared: a group is left at every disconnect", file: "sessionstore/memory/store.go", seeds: 50,
		edits: []edit{{
			"\t\theld.release(held.epoch, req.Now, s.now())\n\t}\n\tif req.End",
			"\t\theld.release(held.epoch, req.Now, s.now())\n\t\tfor filter := range held.groups {\n\t\t\tg := sessionstore.Group{Tenant: f.Key.Tenant, Filter: filter}\n" +
				"\t\t\ts.mu.Unlock()\n\t\t\t_, _ = s.Leave(ctx, g, f)\n\t\t\ts.mu.Lock()\n\t\t}\n\t}\n\tif req.End",
		}},
	},
	{
		name: "shared: a group is not left with UNSUBSCRIBE", file: "gateway/bridge/lanes.go", seeds: 100,
		edits: []edit{{"\t\t\tc.SharedRemove = append(c.SharedRemove, f)\n", ""}},
	},
	{
		name: "shared: a session that ends stays a member", file: "sessionstore/memory/work.go", seeds: 100,
		edits: []edit{{"inbox: held.inbox, groups: held.joined(),", "inbox: held.inbox,"}},
	},
	{
		name: "shared: what was completed without a session is forgotten", file: "mqtt/session/completed.go", seeds: 4000,
		edits: []edit{{"\td := &m.down\n\td.lastOrder++\n", "\tif !m.persistent() {\n\t\treturn\n\t}\n\td := &m.down\n\td.lastOrder++\n"}},
	},
	{
		name: "retained before the bus has taken it", file: "gateway/bridge/uplink.go", seeds: 20,
		edits: []edit{{
			"\tu.entries = append(u.entries, entry)\n\tif !u.holding {\n",
			"\tu.entries = append(u.entries, entry)\n\tif entry.retained() {\n\t\tout = append(out, StoreRetained{Packet: e.Packet, Received: now})\n\t}\n\tif !u.holding {\n",
		}},
	},
	{
		name: "retained: stored beside the one before of its topic", file: "gateway/bridge/retained.go", seeds: 4000,
		edits: []edit{{"\t\twaiting[e.topic] = true\n", "\t\tif e.answer == nil {\n\t\t\twaiting[e.topic] = true\n\t\t}\n"}},
	},
	{
		name: "retained: a late put replaces a newer one", file: "sessionstore/memory/retained.go", seeds: 4000,
		edits: []edit{{"\tcase kept.overtaken(r):\n\t\treturn nil\n", ""}},
	},
	{
		name: "retained: removed from nowhere", file: "sessionstore/memory/retained.go", seeds: 100,
		edits: []edit{{"\t\tkept.remove(r.Topic)\n", ""}},
	},
	{
		name: "retained: RETAIN is not set", file: "mqtt/session/route.go", seeds: 100,
		edits: []edit{{"\tr.retain = r.retain || msg.Retained\n", ""}},
	},
}
