package memory

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"sluice/sessionstore"
)

// retained are the retained messages of a tenant.
type retained struct {
	messages map[string]sessionstore.Retained // by topic
	topics   sorted[string]
	ends     sorted[ending]
	total    share
	shares   map[string]share   // by principal; none that is empty
	gone     map[string]removal // by topic: who has removed its message last
	removals []removal          // the same, oldest first
}

// removal is known for sessionstore.RetainedGone.
type removal struct {
	by sessionstore.Retained // without a message
	at time.Time
}

// share is a part of a quota.
type share struct{ messages, bytes int }

// ending is a message that expires.
type ending struct {
	at    time.Time
	topic string
}

func newRetained() *retained {
	return &retained{
		messages: make(map[string]sessionstore.Retained),
		topics:   sorted[string]{compare: strings.Compare},
		ends: sorted[ending]{compare: func(a, b ending) int {
			return cmp.Or(a.at.Compare(b.at), strings.Compare(a.topic, b.topic))
		}},
		shares: make(map[string]share),
		gone:   make(map[string]removal),
	}
}

// PutRetained: see sessionstore.Store. It is applied, and done called, before it returns.
func (s *Store) PutRetained(tenant string, r sessionstore.Retained, done func(error)) {
	done(s.putRetained(tenant, r))
}

func (s *Store) putRetained(tenant string, r sessionstore.Retained) error {
	if err := sessionstore.ValidateRetained(tenant, r); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(context.Background()); err != nil {
		return err
	}
	kept := s.retained[tenant]
	if kept == nil {
		kept = newRetained()
		s.retained[tenant] = kept
	}
	defer s.forgetRetained(tenant)
	kept.forgetRemovals(s.now())
	switch {
	case kept.overtaken(r):
		return nil
	case len(r.Message) == 0:
		kept.remove(r.Topic)
		kept.noteRemoval(r, s.now())
		return nil
	}
	err := kept.room(r, s.quota)
	if err != nil && kept.trim(s.now(), sessionstore.MaxTrim) > 0 {
		err = kept.room(r, s.quota)
	}
	if err == nil {
		kept.put(r)
	}
	return err
}

// forgetRetained keeps no tenant of which nothing is to be known.
func (s *Store) forgetRetained(tenant string) {
	if kept := s.retained[tenant]; len(kept.messages) == 0 && len(kept.gone) == 0 {
		delete(s.retained, tenant)
	}
}

// room refuses what adds to a share that is full then.
func (k *retained) room(r sessionstore.Retained, quota sessionstore.RetainedQuota) error {
	more := share{1, r.Size()} // than the tenant has now
	own := more                // than the principal has now
	if old, ok := k.messages[r.Topic]; ok {
		more = share{0, r.Size() - old.Size()}
		if old.Principal == r.Principal {
			own = more
		}
	}
	used := k.shares[r.Principal]
	for _, f := range []struct {
		limit           sessionstore.RetainedLimit
		used, more, max int
	}{
		{sessionstore.TenantMessages, k.total.messages, more.messages, quota.Messages},
		{sessionstore.TenantBytes, k.total.bytes, more.bytes, quota.Bytes},
		{sessionstore.PrincipalMessages, used.messages, own.messages, quota.PrincipalMessages},
		{sessionstore.PrincipalBytes, used.bytes, own.bytes, quota.PrincipalBytes},
	} {
		if f.more > 0 && f.used+f.more > f.max {
			return quota.Refuse(f.limit)
		}
	}
	return nil
}

// overtaken reports whether the publisher of r has put or removed the message under a higher epoch since.
func (k *retained) overtaken(r sessionstore.Retained) bool {
	newer := func(o sessionstore.Retained) bool {
		return r.Epoch > 0 && o.Epoch > r.Epoch && o.Principal == r.Principal && o.ClientID == r.ClientID
	}
	return newer(k.messages[r.Topic]) || newer(k.gone[r.Topic].by)
}

func (k *retained) noteRemoval(r sessionstore.Retained, now time.Time) {
	if r.Epoch > 0 {
		g := removal{r, now}
		k.gone[r.Topic] = g
		k.removals = append(k.removals, g)
	}
}

func (k *retained) forgetRemovals(now time.Time) {
	for len(k.removals) > 0 && now.Sub(k.removals[0].at) >= sessionstore.RetainedGone {
		g := k.removals[0]
		if k.gone[g.by.Topic].at.Equal(g.at) {
			delete(k.gone, g.by.Topic)
		}
		k.removals = k.removals[1:]
	}
}

func (k *retained) put(r sessionstore.Retained) {
	k.remove(r.Topic)
	r.Message = bytes.Clone(r.Message)
	if !r.Expires.IsZero() {
		r.Expires = r.Expires.UTC().Truncate(time.Millisecond)
		k.ends.add(ending{r.Expires, r.Topic})
	}
	k.messages[r.Topic] = r
	k.topics.add(r.Topic)
	k.count(r.Principal, share{1, r.Size()})
}

func (k *retained) remove(topic string) {
	old, ok := k.messages[topic]
	if !ok {
		return
	}
	delete(k.messages, topic)
	k.topics.remove(topic)
	k.ends.remove(ending{old.Expires, topic})
	k.count(old.Principal, share{-1, -old.Size()})
}

func (k *retained) count(principal string, more share) {
	k.total.messages += more.messages
	k.total.bytes += more.bytes
	used := k.shares[principal]
	used.messages += more.messages
	used.bytes += more.bytes
	if k.shares[principal] = used; used == (share{}) {
		delete(k.shares, principal)
	}
}

// trim removes up to most messages that have expired.
func (k *retained) trim(now time.Time, most int) (removed int) {
	for removed < most && len(k.ends.list) > 0 && !now.Before(k.ends.list[0].at) {
		k.remove(k.ends.list[0].topic)
		removed++
	}
	return removed
}

// RetainedTopics: see sessionstore.Store.
func (s *Store) RetainedTopics(ctx context.Context, tenant, from, to string, max int) ([]string, error) {
	if err := sessionstore.ValidateRetainedPage(tenant, max, from, to); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var out []string
	if kept := s.retained[tenant]; kept != nil {
		for _, topic := range kept.topics.from(from) {
			if len(out) == max || to != "" && topic >= to {
				break
			}
			out = append(out, topic)
		}
	}
	return out, nil
}

// GetRetained: see sessionstore.Store.
func (s *Store) GetRetained(ctx context.Context, tenant string, topics []string) ([]sessionstore.Retained, error) {
	if err := sessionstore.ValidateRetainedPage(tenant, len(topics), topics...); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	kept := s.retained[tenant]
	if kept == nil {
		return nil, nil
	}
	var out []sessionstore.Retained
	for _, topic := range topics {
		if r, ok := kept.messages[topic]; ok && !r.Expired(s.now()) {
			r.Message = bytes.Clone(r.Message)
			out = append(out, r)
		}
	}
	return out, nil
}

// TrimRetained: see sessionstore.Store.
func (s *Store) TrimRetained(ctx context.Context) (removed int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	for _, tenant := range slices.Sorted(maps.Keys(s.retained)) {
		s.retained[tenant].forgetRemovals(s.now())
		removed += s.retained[tenant].trim(s.now(), sessionstore.MaxTrim-removed)
		s.forgetRetained(tenant)
	}
	return removed, nil
}
