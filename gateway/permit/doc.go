// Package permit says what a device may do: which topics it may publish to and subscribe to, with which QoS, and whether it may retain, leave a Will and
// share subscriptions. It is pure: bytes of a policy file in, decisions out.
//
//   - read.go: a policy file becomes a Policy, or a list of faults that name line, key and mend.
//   - rule.go: whom a rule is for.
//   - template.go: the filters of a rule for one device.
//   - view.go: the rules that are for one device, and their decisions about names.
//   - subscribe.go, region.go: decisions about filters, which are sets of names.
//   - explain.go: a decision in words.
//
// Rules are in an order. Of a topic name the first rule that is for the device, for what it does and for the name decides, and no other; without one it is
// denied. What a rule of allow restricts (qos_max, retain, will, shared) is denied by that rule: no later one is looked at.
//
// A SUBSCRIBE is granted when the filter matches some name that may be heard, and none that no rule of allow is for. What rules of deny take out of it is held
// back from the device message by message (View.Deliver). A shared subscription is granted only when all that its filter matches may be heard: what a member may not hear would otherwise be
// taken from those who may.
//
// Invariants (oracle_test.go): no value of a device makes a filter of allow match more than the rule's author wrote, nor one of deny less. Decisions about
// filters agree with those about each name that they match.
//
// Who the device is comes from gateway/auth; $sluice/errors, which is each device's own, is the business of mqtt/session.
package permit
