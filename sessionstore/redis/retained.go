package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"sluice/sessionstore"
)

// retainedKeys gives messages, topics, ends and use of a tenant's retained messages, which share a hash tag.
func (s *Store) retainedKeys(tenant string) []string {
	head := s.prefix + "{retained:" + url.PathEscape(tenant) + "}:"
	return []string{head + "messages", head + "topics", head + "ends", head + "use"}
}

// sentKey keeps the number of the last step that a lane of this store sent to the slot of these keys.
func (s *Store) sentKey(l *lane, beside string) string {
	return beside[:strings.IndexByte(beside, '}')+2] + "sent:" + s.writer + ":" + strconv.Itoa(l.id)
}

// goneKey keeps who has removed the message of a topic last.
func goneKey(beside, topic string) string {
	return beside[:strings.IndexByte(beside, '}')+2] + "gone:" + topic
}

// topicKey keeps the puts of a topic in order.
func topicKey(tenant, topic string) sessionstore.Key {
	return sessionstore.Key{Tenant: tenant, ClientID: "retained " + topic}
}

// PutRetained: see sessionstore.Store.
func (s *Store) PutRetained(tenant string, r sessionstore.Retained, done func(error)) {
	if err := sessionstore.ValidateRetained(tenant, r); err != nil {
		done(err)
		return
	}
	key := topicKey(tenant, r.Topic)
	lane := s.laneOf(key)
	keys := s.retainedKeys(tenant)
	st := &step{
		key: key, script: unretainScript, confirm: true, numbered: true, keys: append(keys, s.sentKey(lane, keys[0]), goneKey(keys[0], r.Topic)),
		args: []any{r.Topic, encodeRetained(r), sessionstore.RetainedGone.Milliseconds()}, size: 2*len(r.Topic) + len(r.Principal) + len(r.ClientID) + len(r.Message), deadline: time.Now().Add(s.grace),
	}
	if len(r.Message) > 0 {
		st.script = retainScript
		st.args = []any{
			r.Topic, encodeRetained(r), s.quota.Messages, s.quota.Bytes, s.quota.PrincipalMessages, s.quota.PrincipalBytes, retainedRoom, rand.Text(),
		}
	}
	st.finish = func(reply any, err error) {
		if err != nil {
			done(err)
			return
		}
		limit, name, err := decodePut(reply)
		switch {
		case err != nil:
			done(unavailable(err))
		case limit > 0:
			done(s.quota.Refuse(sessionstore.RetainedLimit(limit - 1)))
		case name != "":
			s.setRetainedHint(tenant, name, st.deadline, done)
		default:
			done(nil)
		}
	}
	if err := lane.add(st, nil); err != nil {
		done(unavailable(err))
	}
}

func decodePut(reply any) (limit int64, name string, err error) {
	parts, ok := reply.([]any)
	if !ok || len(parts) != 2 {
		return 0, "", fmt.Errorf("%w: answer to a retained message", errRecord)
	}
	limit, _ = parts[0].(int64)
	name, _ = parts[1].(string)
	return limit, name, nil
}

// retaining is the sorted set of the hints that lead to tenants with retained messages that expire: "<tenant> <name>" -> when to look, in ms.
// A tenant knows its hint by name and whether it is there, as between the two slots no step is atomic: a hint that is taken away was
// named by nobody since.
func (s *Store) retaining() string { return s.prefix + "{retaining}" }

func retainingMember(tenant, name string) string { return url.PathEscape(tenant) + " " + name }

// setRetainedHint sets a tenant's hint, notes that it is there, and calls done. Who dies before leaves it to the next put that expires.
func (s *Store) setRetainedHint(tenant, name string, deadline time.Time, done func(error)) {
	member := retainingMember(tenant, name)
	set := &step{
		key: sessionstore.Key{Tenant: tenant, ClientID: "retaining"}, script: hintScript, confirm: true, keys: []string{s.retaining()},
		args: []any{member, "0", ""}, size: len(member), deadline: deadline,
	}
	set.finish = func(_ any, err error) {
		if err == nil {
			s.later(&step{
				key: set.key, script: retainedHintScript, keys: s.retainedKeys(tenant)[3:], args: []any{name}, size: len(member),
			})
		}
		done(err)
	}
	if err := s.laneOf(set.key).add(set, nil); err != nil {
		done(unavailable(err))
	}
}

// RetainedTopics: see sessionstore.Store.
func (s *Store) RetainedTopics(ctx context.Context, tenant, from, to string, most int) ([]string, error) {
	if err := sessionstore.ValidateRetainedPage(tenant, most, from, to); err != nil {
		return nil, err
	}
	end := "+"
	if to != "" {
		end = "(" + to
	}
	st := &step{
		key: topicKey(tenant, from), cmd: []any{"ZRANGE", s.retainedKeys(tenant)[1], "[" + from, end, "BYLEX", "LIMIT", 0, most},
		size: len(from) + len(to),
	}
	reply, err := s.do(ctx, s.laneOf(st.key), st)
	if err != nil {
		return nil, err
	}
	list, ok := reply.([]any)
	if !ok {
		return nil, unavailable(fmt.Errorf("%w: a page of topics", errRecord))
	}
	var out []string
	for _, v := range list {
		topic, _ := v.(string)
		out = append(out, topic)
	}
	return out, nil
}

// GetRetained: see sessionstore.Store. It is read in parts, so that no answer is much larger than a batch.
func (s *Store) GetRetained(ctx context.Context, tenant string, topics []string) ([]sessionstore.Retained, error) {
	if err := sessionstore.ValidateRetainedPage(tenant, len(topics), topics...); err != nil {
		return nil, err
	}
	var out []sessionstore.Retained
	for len(topics) > 0 {
		args := []any{batchBytes}
		size := 0
		for _, topic := range topics {
			args = append(args, topic)
			size += len(topic)
		}
		st := &step{key: topicKey(tenant, topics[0]), script: retainedGetScript, keys: s.retainedKeys(tenant)[:1], args: args, size: size}
		reply, err := s.do(ctx, s.laneOf(st.key), st)
		if err != nil {
			return nil, err
		}
		n, found, err := decodeRetainedPart(reply)
		if err == nil && (n <= 0 || n > len(topics)) {
			err = fmt.Errorf("%w: %d of %d retained messages", errRecord, n, len(topics))
		}
		if err != nil {
			return nil, unavailable(err)
		}
		out, topics = append(out, found...), topics[n:]
	}
	return out, nil
}

func decodeRetainedPart(reply any) (n int, out []sessionstore.Retained, err error) {
	parts, ok := reply.([]any)
	if !ok || len(parts) != 2 {
		return 0, nil, fmt.Errorf("%w: retained messages", errRecord)
	}
	count, _ := parts[0].(int64)
	err = eachField(parts[1], func(topic, record string) error {
		r, err := decodeRetained(topic, record)
		out = append(out, r)
		return err
	})
	return int(count), out, err
}

// TrimRetained: see sessionstore.Store. It looks at the tenants whose hint is due, one after the other.
func (s *Store) TrimRetained(ctx context.Context) (removed int, err error) {
	registry := sessionstore.Key{ClientID: "retaining"}
	reply, err := s.do(ctx, s.laneOf(registry), &step{key: registry, script: peekScript, keys: []string{s.retaining()}, args: []any{trimTenants}})
	if err != nil {
		return 0, err
	}
	list, _ := reply.([]any)
	var failed error
	for i := 0; i < len(list) && removed < sessionstore.MaxTrim && ctx.Err() == nil; i += 2 {
		member, _ := list[i].(string)
		escaped, name, ok := strings.Cut(member, " ")
		tenant, bad := url.PathUnescape(escaped)
		if !ok || bad != nil {
			s.log.Warn("a hint to retained messages cannot be read, and is left alone", zap.String("hint", member))
			continue
		}
		n, err := s.trimTenant(ctx, tenant, name, sessionstore.MaxTrim-removed)
		if removed += n; err != nil {
			failed = err // the other tenants are not to suffer
		}
	}
	return removed, failed
}

// trimTenant removes up to most messages, then moves the hint or removes it.
func (s *Store) trimTenant(ctx context.Context, tenant, name string, most int) (removed int, err error) {
	key := sessionstore.Key{Tenant: tenant, ClientID: "retaining"}
	for {
		reply, err := s.do(ctx, s.laneOf(key), &step{
			key: key, script: retainedTrimScript, keys: s.retainedKeys(tenant),
			args: []any{min(most-removed, trimStep), name, trimLook.Milliseconds()}, size: len(tenant),
		})
		if err != nil {
			return removed, err
		}
		parts, ok := reply.([]any)
		if !ok || len(parts) != 3 {
			return removed, unavailable(fmt.Errorf("%w: answer to a trim", errRecord))
		}
		n, _ := parts[0].(int64)
		next, _ := parts[2].(string)
		removed += int(n)
		if parts[1] == int64(1) && removed < most {
			continue
		}
		member := retainingMember(tenant, name)
		s.later(&step{key: key, script: hintScript, keys: []string{s.retaining()}, args: []any{member, next, "XX"}, size: len(member)})
		return removed, nil
	}
}
