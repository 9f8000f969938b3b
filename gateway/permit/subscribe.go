package permit

import (
	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// Subscribe decides about a topic filter, which may be that of a shared subscription. It is granted when it matches a name that may be heard, and no name that
// no rule of allow is for; then Decision.QoSMax is the highest QoS that any such name allows, and Deliver holds back what rules of deny take out. A wider one
// would be bound on the bus as it is: the device's queue there would fill with what is nothing to it, and a full queue refuses the messages of others. A shared
// one is granted when all names that it matches may be heard, by rules that let it be shared.
func (v *View) Subscribe(filter string) Decision {
	v.compile()
	if d, ok := v.subscribed[filter]; ok {
		return d
	}
	_, plain, shared := topic.Shared(filter)
	var d Decision
	if shared {
		d = v.share(plain)
	} else {
		d = v.hear(filter)
	}
	remember(&v.subscribed, filter, d)
	return d
}

func (v *View) hear(filter string) Decision {
	refused := Decision{Rule: NoRule, Obstacle: NotNamed}
	granted := Decision{Obstacle: NotNamed}
	v.deciding(filter, func(e *entry) bool {
		switch {
		case !e.rule.allow:
			if refused.Obstacle == NotNamed {
				refused = Decision{Rule: e.rule.name, Filter: e.filter, Obstacle: Denied}
			}
		case granted.Obstacle != Nothing || e.rule.qosMax > granted.QoSMax:
			granted = Decision{Rule: e.rule.name, Filter: e.filter, QoSMax: e.rule.qosMax}
		}
		return granted.Obstacle != Nothing || granted.QoSMax < 2
	})
	switch {
	case !granted.Allowed():
		return refused
	case reaches(filter, v.allowing, v.policy.levels):
		return Decision{Rule: NoRule, Obstacle: TooWide}
	}
	return granted
}

func (v *View) share(filter string) Decision {
	granted := Decision{QoSMax: 2}
	v.deciding(filter, func(e *entry) bool {
		switch {
		case !e.rule.allow:
			granted = Decision{Rule: e.rule.name, Filter: e.filter, Obstacle: NotAll}
		case !e.rule.shared:
			granted = Decision{Rule: e.rule.name, Filter: e.filter, Obstacle: NoShared}
		default:
			granted.QoSMax = min(granted.QoSMax, e.rule.qosMax)
			if granted.Rule == "" {
				granted.Rule, granted.Filter = e.rule.name, e.filter
			}
		}
		return granted.Allowed()
	})
	if granted.Allowed() && reaches(filter, v.hearing.list, v.policy.levels) {
		if granted.Rule == "" {
			return Decision{Rule: NoRule, Obstacle: NotNamed}
		}
		return Decision{Rule: NoRule, Obstacle: NotAll}
	}
	return granted
}

// deciding gives the entries that decide about some name that the filter matches, in their order, until yield is false.
func (v *View) deciding(filter string, yield func(*entry) bool) {
	list := v.hearing.list
	for i := range list {
		both, ok := common(filter, list[i].filter)
		if ok && reaches(both, list[:i], v.policy.levels) && !yield(&list[i]) {
			return
		}
	}
}

// Grant is the QoS that a subscription gets of the QoS asked for.
func (d *Decision) Grant(asked packet.QoS) packet.QoS { return min(asked, d.QoSMax) }
