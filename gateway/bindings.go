package gateway

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"sluice/amqp"
)

// bindings are what an inbox needs for these filters: the key of each on the exchange of all topics, and what mapping rules add on others. Two filters may
// need the same one.
func (gw *Gateway) bindings(filters []string) []amqp.Binding {
	if !gw.opt.Bridge.Dialect.HasInboxes() {
		return nil // what there is comes anyway, from Options.Sources
	}
	list := make([]amqp.Binding, 0, len(filters))
	known := make(map[amqp.Binding]struct{}, len(filters))
	dialect, table := gw.opt.Bridge.Dialect, gw.opt.Bridge.Rules
	for _, f := range filters {
		for _, rule := range table.Bindings(dialect, f) {
			b := amqp.Binding{Exchange: rule.Exchange, Pattern: rule.Pattern}
			if b.Exchange == dialect.Exchange() {
				b.Exchange = ""
			}
			if _, twice := known[b]; !twice {
				known[b] = struct{}{}
				list = append(list, b)
			}
		}
	}
	return list
}

// unneeded are bindings of the filters in gone that no filter in kept needs.
func (gw *Gateway) unneeded(gone, kept []string) []amqp.Binding {
	list := gw.bindings(gone)
	if !gw.opt.Bridge.Rules.Bind() {
		return list // each filter has one of its own
	}
	needed := make(map[amqp.Binding]struct{}, len(kept))
	for _, b := range gw.bindings(kept) {
		needed[b] = struct{}{}
	}
	rest := list[:0]
	for _, b := range list {
		if _, still := needed[b]; !still {
			rest = append(rest, b)
		}
	}
	return rest
}

// fromRules are bindings that only the rules ask for: those that a change of the rules can have changed.
func (gw *Gateway) fromRules(filters []string) []amqp.Binding {
	if !gw.opt.Bridge.Rules.Bind() {
		return nil
	}
	list := gw.bindings(filters)
	own := make(map[amqp.Binding]struct{}, len(filters))
	for _, f := range filters {
		own[amqp.Binding{Pattern: gw.opt.Bridge.Dialect.Pattern(f)}] = struct{}{}
	}
	rest := list[:0]
	for _, b := range list {
		if _, isDefault := own[b]; !isDefault {
			rest = append(rest, b)
		}
	}
	return rest
}

// bind makes bindings. An exchange of a rule that is not there is no error: nothing comes from it, and when it is back the lanes are bound again
// (targets.go). So it costs only the messages that would be sent to it.
func (gw *Gateway) bind(ctx context.Context, inbox string, bindings []amqp.Binding) error {
	err := gw.opt.Bus.Subscribe(ctx, inbox, bindings)
	var missing *amqp.MissingExchanges
	if errors.As(err, &missing) {
		gw.log.Warn("an inbox was not bound to exchanges that rules name", zap.String("inbox", inbox), zap.Error(err))
		gw.targets.miss(missing.Names)
		return nil
	}
	return err
}
