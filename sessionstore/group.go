package sessionstore

import (
	"context"
	"fmt"
	"net/url"
	"strings"
)

// Group is a group of shared subscriptions (MQTT 5, 4.8.2): those of one filter, with the same share name, of one tenant.
type Group struct {
	Tenant string
	Filter string // with its $share prefix
}

// Member is a session as a member of a group.
type Member struct {
	Key         Key
	Incarnation uint64 // of the session
}

// GroupStore keeps who is a member of which group, and who has begun a QoS 2 delivery of it. A group begins with its first member and ends with
// its last; its queue on the bus lives as long. The queue's name has the group's incarnation in it, so that the queue of a group that is over
// can be removed late and harms no new one.
//
// No membership is forgotten. Join notes the group in the record of the session before it makes the session a member, and Leave removes the
// note last: so whoever dies at whatever point, a member is found by its session. Session.Groups are those notes. A session that goes on
// under another owner tells them with Claim: of a group without a subscription (its owner died between the two) the new owner leaves,
// and it joins the groups of its shared subscriptions again, which also gives it their incarnation. When a session ends, in any way, its
// groups are work (Work.Groups): Leave each with the Key and Epoch of the Work, then Finish. So it does not matter whether the
// subscription is written before Join or after it, nor whether it is deleted before Leave.
//
// A membership has the epoch of the latest Join. A Leave of an earlier owner, or for an earlier session of the same key, does not end it.
type GroupStore interface {
	// Join makes the session a member of the group, for its present owner. Repeating it is no error. The incarnation is that of the group: new, and
	// never used before for this group, when it begins with this Join. ErrFenced: the session has another owner, or none. ErrFull: the group has
	// MaxMembers, the session MaxGroups, or MaxWork queues of the group wait to be removed.
	Join(ctx context.Context, g Group, f Fence) (incarnation uint64, err error)
	// Leave ends the membership that this owner, or one before it, began. Repeating it is no error, nor is leaving what one never joined. With the
	// last member the group ends, and its queue is work (Work.Group). work: something is due at once, for Due.
	Leave(ctx context.Context, g Group, f Fence) (work bool, err error)
	// Take says which session has begun the QoS 2 delivery of a message of the group: the first that took this identity, which is the caller unless
	// another was first [MQTT-4.8.2-4]. Repeating is no error. The group remembers MaxTaken, and forgets the oldest beyond. ErrNotFound: the
	// group of that incarnation is over.
	Take(ctx context.Context, g Group, incarnation uint64, identity string, by Member) (Member, error)
}

// String gives the group as tenant/filter, each part percent-escaped: total, reversible (ParseGroup) and safe inside Redis keys.
func (g Group) String() string { return url.PathEscape(g.Tenant) + "/" + url.PathEscape(g.Filter) }

// ParseGroup is the inverse of Group.String. It accepts only what String writes.
func ParseGroup(s string) (g Group, err error) {
	tenant, filter, ok := strings.Cut(s, "/")
	if ok {
		if g.Tenant, err = url.PathUnescape(tenant); err == nil {
			g.Filter, err = url.PathUnescape(filter)
		}
	}
	if !ok || err != nil || g.String() != s {
		return Group{}, fmt.Errorf("%w: group %q: want tenant/filter, percent-escaped", ErrInvalid, s)
	}
	return g, g.Validate()
}

// Validate refuses a group that cannot be.
func (g Group) Validate() error {
	if g.Filter == "" {
		return fmt.Errorf("%w: group: the filter is empty", ErrInvalid)
	}
	if err := validString("group: the tenant", g.Tenant); err != nil {
		return err
	}
	return validString("group: the filter", g.Filter)
}

// ValidateMember refuses a Join or Leave that no implementation can serve.
func ValidateMember(g Group, f Fence) error {
	if err := g.Validate(); err != nil {
		return err
	}
	if f.Key.Tenant != g.Tenant {
		return fmt.Errorf("%w: group: the session is of tenant %q, the group of %q", ErrInvalid, f.Key.Tenant, g.Tenant)
	}
	return f.Key.Validate()
}

// ValidateTaken refuses a Take that no implementation can serve.
func ValidateTaken(g Group, identity string) error {
	if err := g.Validate(); err != nil {
		return err
	}
	return validString("group: the identity", identity)
}
