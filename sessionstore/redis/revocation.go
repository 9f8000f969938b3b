package redis

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/sessionstore"
)

// revocationKeys gives list and ends, which share a hash tag.
func (s *Store) revocationKeys() []string {
	return []string{s.prefix + "{revocations}:list", s.prefix + "{revocations}:ends"}
}

// PutRevocation: see sessionstore.Store.
func (s *Store) PutRevocation(ctx context.Context, r sessionstore.Revocation) error {
	if err := r.Validate(); err != nil {
		return err
	}
	n, err := s.revoke(ctx, r.ID, encodeRevocation(r), r.Until.UnixMilli())
	if err == nil && n == -1 {
		return fmt.Errorf("%w: there are %d revocations, the most there may be", sessionstore.ErrFull, sessionstore.MaxRevocations)
	}
	return err
}

// RemoveRevocation: see sessionstore.Store.
func (s *Store) RemoveRevocation(ctx context.Context, id string) error {
	_, err := s.revoke(ctx, id, "", 0)
	return err
}

func (s *Store) revoke(ctx context.Context, id, record string, until int64) (int64, error) {
	st := &step{
		key: sessionstore.Key{ClientID: "revocation " + id}, script: revokeScript, confirm: true, numbered: true,
		args: []any{id, record, until, sessionstore.MaxRevocations}, size: len(id) + len(record),
	}
	keys := s.revocationKeys()
	st.keys = append(keys, s.sentKey(s.laneOf(st.key), keys[0]))
	return s.number(ctx, st)
}

// Revocations: see sessionstore.Store.
func (s *Store) Revocations(ctx context.Context, known uint64) (list []sessionstore.Revocation, version uint64, err error) {
	key, all := sessionstore.Key{ClientID: "revocations"}, s.revocationKeys()[0]
	reply, err := s.do(ctx, s.laneOf(key), &step{key: key, cmd: []any{"HMGET", all, "version"}})
	if err != nil {
		return nil, 0, err
	}
	values, _ := reply.([]any)
	if len(values) != 1 {
		return nil, 0, unavailable(fmt.Errorf("%w: the version of the revocations", errRecord))
	}
	if version, err = parseVersion(values[0]); err != nil {
		return nil, 0, err
	}
	if version == known {
		return nil, known, nil
	}
	reply, err = s.do(ctx, s.laneOf(key), &step{key: key, cmd: []any{"HGETALL", all}})
	if err != nil {
		return nil, 0, err
	}
	return decodeRevocations(reply)
}

// parseVersion reads the version of the list; there is none as long as nothing was ever revoked.
func parseVersion(value any) (uint64, error) {
	text, there := value.(string)
	if !there {
		return 0, nil
	}
	version, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, unavailable(fmt.Errorf("%w: the version of the revocations", errRecord))
	}
	return version, nil
}

// decodeRevocations reads the whole list. One that cannot be read fails it: to go on without it would let somebody in.
func decodeRevocations(reply any) (list []sessionstore.Revocation, version uint64, err error) {
	for field, value := range fieldsOf(reply) {
		id, is := strings.CutPrefix(field, "r:")
		if !is {
			if field == "version" {
				if version, err = parseVersion(value); err != nil {
					return nil, 0, err
				}
			}
			continue
		}
		r, err := decodeRevocation(id, value)
		if err != nil {
			return nil, 0, unavailable(err)
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b sessionstore.Revocation) int { return strings.Compare(a.ID, b.ID) })
	return list, version, nil
}

// fieldsOf walks the answer to HGETALL, which comes as a map or flat, by the protocol in use.
func fieldsOf(reply any) map[string]string {
	out := map[string]string{}
	switch reply := reply.(type) {
	case map[any]any:
		for k, v := range reply {
			field, _ := k.(string)
			out[field], _ = v.(string)
		}
	case []any:
		for i := 0; i+1 < len(reply); i += 2 {
			field, _ := reply[i].(string)
			out[field], _ = reply[i+1].(string)
		}
	}
	return out
}

// encodeRevocation writes 1, at and until in ms, then each text with its length before it.
func encodeRevocation(r sessionstore.Revocation) string {
	b := []byte{recordVersion}
	b = binary.AppendUvarint(b, uint64(r.At.UnixMilli()))
	b = binary.AppendUvarint(b, uint64(r.Until.UnixMilli()))
	for _, s := range []string{r.Tenant, r.Principal, r.ClientID, r.Credential, r.Reason} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return string(b)
}

func decodeRevocation(id, record string) (r sessionstore.Revocation, err error) {
	if record == "" || record[0] != recordVersion {
		return r, fmt.Errorf("%w: a revocation", errRecord)
	}
	rest := []byte(record[1:])
	number := func() uint64 {
		n, size := binary.Uvarint(rest)
		if size <= 0 {
			err = fmt.Errorf("%w: a number in a revocation", errRecord)
			return 0
		}
		rest = rest[size:]
		return n
	}
	r = sessionstore.Revocation{ID: id, At: time.UnixMilli(int64(number())).UTC(), Until: time.UnixMilli(int64(number())).UTC()}
	for _, s := range []*string{&r.Tenant, &r.Principal, &r.ClientID, &r.Credential, &r.Reason} {
		n := number()
		if err != nil || n > uint64(len(rest)) {
			return r, fmt.Errorf("%w: a text in a revocation", errRecord)
		}
		*s, rest = string(rest[:n]), rest[n:]
	}
	return r, err
}
