package gateway

import (
	"fmt"
	"sync"
	"time"

	"sluice/amqp/message"
	"sluice/mqtt/packet"
)

// policy is what a rule says of a message of the fleet that is refused.
type policy struct {
	name                               string // first level of the topics
	requireRoute, quarantines, reports bool
	subscribes                         bool // to the error topic, at subscribeAt
	subscribeAt                        packet.QoS
}

// policies are those of the fleet's devices; the first has no rule.
var policies = []policy{
	{name: "plain", subscribes: true, subscribeAt: 1},
	{name: "close", subscribes: true, subscribeAt: 1},
	{name: "report", reports: true, subscribes: true},
	{name: "silent", reports: true}, // report without a subscription is close
	{name: "keep", quarantines: true, subscribes: true, subscribeAt: 1},
	{name: "route", requireRoute: true, subscribes: true, subscribeAt: 1},
	{name: "both", requireRoute: true, quarantines: true, subscribes: true, subscribeAt: 1},
}

// oracle knows what the bus has done with every message that is not finally answered, and judges every word that a device hears.
type oracle struct {
	mu       sync.Mutex
	fates    map[string]*fate
	lastLoss time.Time
	faults   []string
	count    map[string]int
	answered int
	enough   bool // what is wrong is known, or it takes too long
	limit    int  // of faults
}

// fate is what has happened to a message.
type fate struct {
	*policy
	v        packet.Version
	verdicts []verdict
	qos      packet.QoS
	again    bool      // sent on more than one connection
	reported bool      // its record was on the wire on this connection
	resent   time.Time // when its device sent it last
}

// verdict is what the bus did with one transfer of a message.
type verdict struct {
	quarantine bool                // it was the copy for the quarantine
	kind       message.OutcomeKind // zero: it is never told
	code       packet.ReasonCode
	transient  bool
	at, told   time.Time
}

// countFalse is as what a false acknowledgement is counted.
const countFalse = "acknowledged: FALSE"

// countUnexplained is what a close is counted as whose record never came.
const countUnexplained = "closes without a record"

func newOracle(limit int) *oracle {
	return &oracle{fates: map[string]*fate{}, count: map[string]int{}, limit: limit}
}

func (o *oracle) fault(format string, arguments ...any) {
	o.count["FAULTS"]++
	if len(o.faults) < o.limit {
		o.faults = append(o.faults, fmt.Sprintf(format, arguments...))
	}
	o.enough = len(o.faults) >= o.limit
}

// sent: a device sends a message, for the first time or again on a new connection.
func (o *oracle) sent(key string, p *policy, v packet.Version, qos packet.QoS) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.fates[key]
	if f == nil {
		f = &fate{policy: p, v: v, qos: qos}
		o.fates[key] = f
	} else {
		f.again = true
	}
	f.reported, f.resent = false, time.Now()
}

// attempts is how often the bus got a message, or its copy for the quarantine.
func (o *oracle) attempts(key string, quarantine bool) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f := o.fates[key]; f != nil {
		for _, v := range f.verdicts {
			if v.quarantine == quarantine {
				n++
			}
		}
	}
	return n
}

// struck: links are lost now. What the bus has said in this moment, or says of what came before, may not be heard.
func (o *oracle) struck() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lastLoss = time.Now()
	o.count["losses"]++
}

// decided: the bus got a message, and is about to do this.
func (o *oracle) decided(key string, v verdict) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.fates[key]
	if f == nil {
		o.count["transfers after the answer"]++ // an old connection's, that was under way
		return
	}
	if last := f.final(v.quarantine); last != nil && !o.mayBeUnheard(f, last) {
		o.fault("%s was sent to the bus again although it had answered it for good: %+v", key, f.verdicts)
	}
	if v.quarantine && !f.refused(0) {
		o.fault("%s went to the quarantine without a refusal: %+v", key, f.verdicts)
	}
	f.verdicts = append(f.verdicts, v)
}

// mayBeUnheard reports whether the node may not know of a verdict, or not who wants to hear of it: its link was lost since, or its device's connection.
func (o *oracle) mayBeUnheard(f *fate, v *verdict) bool {
	return v.kind == 0 || !o.lastLoss.Before(v.at) || !f.resent.Before(v.at)
}

// final is the last verdict that is the last word.
func (f *fate) final(quarantine bool) *verdict {
	for i := len(f.verdicts) - 1; i >= 0; i-- {
		v := &f.verdicts[i]
		if v.quarantine == quarantine && !v.transient && (v.kind != message.Released || !quarantine) {
			return v
		}
	}
	return nil
}

// has reports whether there is a verdict that the node can have heard by now.
func (f *fate) has(match func(verdict) bool) bool {
	now := time.Now()
	for _, v := range f.verdicts {
		if !v.told.After(now) && match(v) {
			return true
		}
	}
	return false
}

// refused reports whether the bus refused the message for good; with this code, unless it is zero.
func (f *fate) refused(code packet.ReasonCode) bool {
	return f.has(func(v verdict) bool {
		if v.quarantine {
			return false
		}
		if v.kind == message.Released && f.requireRoute {
			return code == 0 || code == 0x83
		}
		return v.code != 0 && (code == 0 || v.code == code)
	})
}

// answer judges a PUBACK or PUBREC, which ends the matter.
func (o *oracle) answer(key string, reason packet.ReasonCode) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.fates[key]
	if f == nil {
		o.fault("%s is answered twice", key)
		return
	}
	why, wrong := o.judge(f, reason)
	if wrong != "" {
		o.fault("%s (%v): 0x%02X: %s; the bus: %+v", key, f.v, byte(reason), wrong, f.verdicts)
	}
	o.count[why]++
	o.answered++
	delete(o.fates, key)
}

// judge gives what an answer is counted as, and what is wrong with it.
func (o *oracle) judge(f *fate, reason packet.ReasonCode) (why, wrong string) {
	accepted := f.has(func(v verdict) bool { return !v.quarantine && v.kind == message.Accepted })
	nobody := f.has(func(v verdict) bool { return !v.quarantine && v.kind == message.Released && !f.requireRoute })
	held := f.quarantines && f.refused(0) && f.has(func(v verdict) bool { return v.quarantine && v.kind == message.Accepted })
	if reason.Failed() {
		return "refused", o.judgeRefusal(f, reason)
	}
	switch {
	case f.v == packet.V5 && reason == packet.NoMatchingSubscribers:
		if !nobody {
			return countFalse, "the bus has not said that nobody is there"
		}
		return "acknowledged: nobody", ""
	case accepted:
		return "acknowledged: accepted", ""
	case held:
		return "acknowledged: in the quarantine", ""
	case nobody && (f.v == packet.V311 || f.qos == 2 && f.again):
		// The record of a QoS 2 message says that the bus has answered, and not that nobody was there; 0x10 instead of 0x00 is a MAY (MQTT 5, 3.5.2.1).
		return "acknowledged: nobody", ""
	case f.v == packet.V311 && f.reports && f.reported && f.refused(0):
		return "acknowledged: reported", ""
	}
	return countFalse, "the bus has not taken it"
}

func (o *oracle) judgeRefusal(f *fate, reason packet.ReasonCode) (wrong string) {
	switch last := f.final(false); {
	case f.v == packet.V311:
		return "MQTT 3.1.1 has no refusal"
	case !f.refused(reason):
		return "the bus has not refused it so"
	case f.quarantines && !f.has(func(v verdict) bool { return v.quarantine && v.code != 0 }):
		return "the quarantine has not refused it"
	case last.kind == message.Accepted && !o.mayBeUnheard(f, last):
		return "the bus has accepted it"
	}
	return ""
}

// record judges a record of the error topic that names a message: the bus has refused that.
func (o *oracle) record(key string, code packet.ReasonCode) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count["records"]++
	f := o.fates[key]
	switch {
	case f == nil: // at QoS 1 it may come behind the answer
	case !f.refused(code):
		o.fault("a record says that %s was refused with 0x%02X; the bus: %+v", key, byte(code), f.verdicts)
	default:
		f.reported = true
	}
}

// note counts something that happened to a device.
func (o *oracle) note(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count[what]++
}

// unexplain counts closes that no record has explained: the node has dropped that.
func (o *oracle) unexplain(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count[countUnexplained] += n
}

// wrong is a fault that a device saw.
func (o *oracle) wrong(format string, arguments ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fault(format, arguments...)
}

// stop ends the run: something is wrong that nobody has seen.
func (o *oracle) stop(format string, arguments ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fault(format, arguments...)
	o.enough = true
}

func (o *oracle) stopped() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.enough
}

func (o *oracle) done() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.answered
}
