package mapping_test

import (
	"testing"

	"pgregory.net/rapid"

	"sluice/amqp/message"
	"sluice/mapping"
	"sluice/mqtt/packet"
)

var (
	pubSub       = mapping.OutcomeRule{}
	requireRoute = mapping.OutcomeRule{RequireRoute: true}
	toQueue      = mapping.OutcomeRule{TargetsQueue: true}
)

func rejected(condition string, info map[string]any) message.Outcome {
	return message.Outcome{Kind: message.Rejected, Error: &message.Error{
		Condition: condition, Description: "secret-host-1: queue 'q' in vhost '/'", Info: info,
	}}
}

// Each row of the outcome table (requirements.md, section 2).
func TestOutcomeTable(t *testing.T) {
	symbol := func(s string) map[string]any { return map[string]any{"queue": "q", "reason": message.Symbol(s)} }
	text := func(s string) map[string]any { return map[string]any{"queue": "q", "reason": s} }
	for _, c := range []struct {
		name   string
		out    message.Outcome
		rule   mapping.OutcomeRule
		class  mapping.Class
		reason packet.ReasonCode
	}{
		{"accepted", message.Outcome{Kind: message.Accepted}, pubSub, mapping.Success, 0x00},
		{"accepted, queue", message.Outcome{Kind: message.Accepted}, toQueue, mapping.Success, 0x00},
		{"accepted, require_route", message.Outcome{Kind: message.Accepted}, requireRoute, mapping.Success, 0x00},
		{"released, pub/sub", message.Outcome{Kind: message.Released}, pubSub, mapping.Success, 0x10},
		{"released, require_route", message.Outcome{Kind: message.Released}, requireRoute, mapping.Refused, 0x83},
		{"released, queue", message.Outcome{Kind: message.Released}, toQueue, mapping.Hold, 0x80},
		{"released, queue with require_route", message.Outcome{Kind: message.Released},
			mapping.OutcomeRule{RequireRoute: true, TargetsQueue: true}, mapping.Hold, 0x80},
		{"unauthorized", rejected("amqp:unauthorized-access", nil), pubSub, mapping.Refused, 0x87},
		{"not found", rejected("amqp:not-found", nil), pubSub, mapping.Refused, 0x90},
		{"bad address", rejected("amqp:precondition-failed", nil), pubSub, mapping.Refused, 0x90},
		{"limit", rejected("amqp:resource-limit-exceeded", nil), pubSub, mapping.Refused, 0x97},
		{"too large", rejected("amqp:link:message-size-exceeded", nil), pubSub, mapping.Refused, 0x97},
		{"queue full, text", rejected("amqp:resource-limit-exceeded", text("maxlen")), pubSub, mapping.Refused, 0x97},
		{"queue full, symbol", rejected("", symbol("maxlen")), pubSub, mapping.Refused, 0x97},
		{"decode", rejected("amqp:decode-error", nil), pubSub, mapping.Refused, 0x99},
		{"invalid field", rejected("amqp:invalid-field", nil), pubSub, mapping.Refused, 0x99},
		{"other", rejected("amqp:internal-error", nil), pubSub, mapping.Refused, 0x83},
		{"unknown", rejected("com.example:no", nil), pubSub, mapping.Refused, 0x83},
		{"no error", message.Outcome{Kind: message.Rejected}, pubSub, mapping.Refused, 0x83},
		{"unavailable queue", rejected("amqp:resource-limit-exceeded", text("unavailable")), pubSub, mapping.Hold, 0x80},
		{"unavailable queue, symbol", rejected("", symbol("unavailable")), pubSub, mapping.Hold, 0x80},
		{"server busy", rejected("com.microsoft:server-busy", nil), pubSub, mapping.Hold, 0x80},
		{"timeout", rejected("com.microsoft:timeout", nil), pubSub, mapping.Hold, 0x80},
		{"cancelled", rejected("com.microsoft:operation-cancelled", nil), pubSub, mapping.Hold, 0x80},
		{"modified, undeliverable", message.Outcome{Kind: message.Modified, UndeliverableHere: true}, pubSub, mapping.Refused, 0x83},
		{"modified", message.Outcome{Kind: message.Modified}, pubSub, mapping.Hold, 0x80},
		{"modified, failed", message.Outcome{Kind: message.Modified, DeliveryFailed: true}, pubSub, mapping.Hold, 0x80},
		{"lost", message.Outcome{Kind: message.Lost}, pubSub, mapping.Hold, 0x80},
		{"busy", message.Outcome{Kind: message.Busy}, pubSub, mapping.Hold, 0x80},
		{"no outcome at all", message.Outcome{}, pubSub, mapping.Hold, 0x80},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := mapping.Classify(c.out, c.rule)
			if got.Class != c.class || got.Reason != c.reason {
				t.Errorf("%v %#x, want %v %#x", got.Class, byte(got.Reason), c.class, byte(c.reason))
			}
			checkAnswer(t, got)
		})
	}
}

type failer interface{ Errorf(string, ...any) }

// checkAnswer holds for every answer: legal in PUBACK and PUBREC, consistent, and safe to show.
func checkAnswer(t failer, a mapping.Answer) {
	switch a.Reason { // MQTT 5, tables 3-4 and 3-5
	case 0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99:
	default:
		t.Errorf("reason %#x is not legal in PUBACK", byte(a.Reason))
	}
	if (a.Class == mapping.Success) == a.Reason.Failed() {
		t.Errorf("%v with reason %#x", a.Class, byte(a.Reason))
	}
	if (a.Class == mapping.Success) != (a.Failure == nil) {
		t.Errorf("%v with the failure %v", a.Class, a.Failure)
	}
	if a.Class == mapping.Refused && a.Failure.Reason() != a.Reason {
		t.Errorf("%#x for %s", byte(a.Reason), a.Failure.Name)
	}
}

func TestOutcomesNeverLie(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := message.Outcome{
			Kind:              message.OutcomeKind(rapid.IntRange(0, 8).Draw(t, "kind")),
			DeliveryFailed:    rapid.Bool().Draw(t, "failed"),
			UndeliverableHere: rapid.Bool().Draw(t, "here"),
		}
		if rapid.Bool().Draw(t, "error") {
			o.Error = &message.Error{
				Condition:   rapid.SampledFrom([]string{"", "amqp:not-found", "secret:x", "amqp:decode-error"}).Draw(t, "condition"),
				Description: "secret",
				Info:        map[string]any{"reason": rapid.SampledFrom([]any{nil, "maxlen", "secret", 7}).Draw(t, "reason")},
			}
		}
		rule := mapping.OutcomeRule{RequireRoute: rapid.Bool().Draw(t, "route"), TargetsQueue: rapid.Bool().Draw(t, "queue")}
		a := mapping.Classify(o, rule)
		checkAnswer(t, a)
		permitted := o.Kind == message.Accepted || o.Kind == message.Released && rule == pubSub
		if (a.Class == mapping.Success) != permitted {
			t.Fatalf("%v became %v under %+v", o.Kind, a.Class, rule)
		}
	})
}

// Every message from a device has an outcome, so that the table may not cost anything.
func BenchmarkClassify(b *testing.B) {
	for _, c := range []struct {
		name string
		o    message.Outcome
	}{
		{"accepted", message.Outcome{Kind: message.Accepted}},
		{"rejected", message.Outcome{Kind: message.Rejected, Error: &message.Error{Condition: "amqp:resource-limit-exceeded", Info: map[string]any{"reason": "maxlen"}}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mapping.Classify(c.o, mapping.OutcomeRule{})
			}
		})
	}
}
