package redis

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/sessionstore"
)

// The record encodings. The first byte is the version; numbers of unknown size are unsigned varints; the one string of a record is what is
// left. A node that meets a version it does not know refuses the session rather than guess.
//
//	subscription  1, qos, retain handling, flags (1 no local, 2 retain as published), subscription identifier
//	inbound       1, flags (1 accepted), message-id
//	outbound      1, qos, flags (1 released, 2 done) + 4 * attempts, order, identity
//	retained      1, time of expiry in ms or 0 (6 bytes), lengths of principal and client id (2 bytes each), principal, client id, message
const recordVersion = 1

const (
	flagNoLocal           = 1
	flagRetainAsPublished = 2
	flagAccepted          = 1
	flagReleased          = 1
	flagDone              = 2
	attemptsShift         = 2
)

var errRecord = errors.New("a stored record cannot be read by this version")

func flag(set bool, f byte) byte {
	if set {
		return f
	}
	return 0
}

func encodeSubscription(s sessionstore.Subscription) string {
	flags := flag(s.NoLocal, flagNoLocal) | flag(s.RetainAsPublished, flagRetainAsPublished)
	return string(binary.AppendUvarint([]byte{recordVersion, s.QoS, s.RetainHandling, flags}, uint64(s.ID)))
}

func decodeSubscription(filter, value string) (s sessionstore.Subscription, err error) {
	if len(value) < 5 || value[0] != recordVersion {
		return s, fmt.Errorf("%w: subscription", errRecord)
	}
	id, n := binary.Uvarint([]byte(value[4:]))
	if n != len(value)-4 || id > 1<<32-1 {
		return s, fmt.Errorf("%w: subscription identifier", errRecord)
	}
	return sessionstore.Subscription{
		Filter: filter, QoS: value[1], RetainHandling: value[2], ID: uint32(id),
		NoLocal: value[3]&flagNoLocal != 0, RetainAsPublished: value[3]&flagRetainAsPublished != 0,
	}, nil
}

func encodeInbound(r sessionstore.Inbound) string {
	return string([]byte{recordVersion, flag(r.Accepted, flagAccepted)}) + r.MessageID
}

func decodeInbound(id uint16, value string) (r sessionstore.Inbound, err error) {
	if len(value) < 2 || value[0] != recordVersion {
		return r, fmt.Errorf("%w: inbound", errRecord)
	}
	return sessionstore.Inbound{PacketID: id, Accepted: value[1]&flagAccepted != 0, MessageID: value[2:]}, nil
}

func encodeOutbound(r sessionstore.Outbound) string {
	head := binary.AppendUvarint([]byte{recordVersion, r.QoS, flag(r.Released, flagReleased) | flag(r.Done, flagDone) | r.Attempts<<attemptsShift}, r.Order)
	return string(head) + r.Identity
}

func decodeOutbound(id uint16, value string) (r sessionstore.Outbound, err error) {
	if len(value) < 4 || value[0] != recordVersion {
		return r, fmt.Errorf("%w: outbound", errRecord)
	}
	head := value[3:min(len(value), 3+binary.MaxVarintLen64)]
	order, n := binary.Uvarint([]byte(head))
	if n <= 0 {
		return r, fmt.Errorf("%w: outbound order", errRecord)
	}
	return sessionstore.Outbound{
		PacketID: id, QoS: value[1], Released: value[2]&flagReleased != 0, Done: value[2]&flagDone != 0, Attempts: value[2] >> attemptsShift, Order: order, Identity: value[3+n:],
	}, nil
}

const retainedHead = 19

func encodeRetained(r sessionstore.Retained) string {
	out := make([]byte, 0, retainedHead+len(r.Principal)+len(r.ClientID)+len(r.Message))
	expires := uint64(0)
	if !r.Expires.IsZero() {
		expires = uint64(r.Expires.UnixMilli())
	}
	out = append(out, recordVersion)
	out = append(out, binary.BigEndian.AppendUint64(nil, expires)[2:]...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(r.Principal)))
	out = binary.BigEndian.AppendUint16(out, uint16(len(r.ClientID)))
	out = binary.BigEndian.AppendUint64(out, r.Epoch)
	out = append(out, r.Principal...)
	out = append(out, r.ClientID...)
	return string(append(out, r.Message...))
}

func decodeRetained(topic, value string) (r sessionstore.Retained, err error) {
	if len(value) < retainedHead || value[0] != recordVersion {
		return r, fmt.Errorf("%w: retained message", errRecord)
	}
	head := []byte(value[:retainedHead])
	principal, clientID := int(binary.BigEndian.Uint16(head[7:])), int(binary.BigEndian.Uint16(head[9:]))
	rest := value[retainedHead:]
	if len(rest) <= principal+clientID {
		return r, fmt.Errorf("%w: retained message", errRecord)
	}
	r = sessionstore.Retained{
		Topic: topic, Principal: rest[:principal], ClientID: rest[principal : principal+clientID], Message: []byte(rest[principal+clientID:]),
		Epoch: binary.BigEndian.Uint64(head[11:]),
	}
	if ms := binary.BigEndian.Uint64(append([]byte{0, 0}, head[1:7]...)); ms > 0 {
		r.Expires = time.UnixMilli(int64(ms)).UTC()
	}
	return r, nil
}

// decodeSession reads the four flat hashes that claim.lua and get.lua give.
func decodeSession(key sessionstore.Key, reply []any) (sessionstore.Session, error) {
	s := sessionstore.Session{Key: key}
	if len(reply) != 4 {
		return s, fmt.Errorf("%w: %d parts of a session, want 4", errRecord, len(reply))
	}
	if err := decodeMeta(&s, reply[0]); err != nil {
		return s, err
	}
	type ordered struct {
		order uint64
		sub   sessionstore.Subscription
	}
	var subs []ordered
	err := eachField(reply[1], func(filter, value string) error {
		order, record, _ := strings.Cut(value, ":")
		n, err := strconv.ParseUint(order, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: subscription order", errRecord)
		}
		sub, err := decodeSubscription(filter, record)
		subs = append(subs, ordered{n, sub})
		return err
	})
	if err != nil {
		return s, err
	}
	slices.SortFunc(subs, func(a, b ordered) int { return cmp.Compare(a.order, b.order) })
	for _, o := range subs {
		s.Subscriptions = append(s.Subscriptions, o.sub)
	}
	if s.Inbound, err = decodeByID(reply[2], decodeInbound); err != nil {
		return s, err
	}
	slices.SortFunc(s.Inbound, func(a, b sessionstore.Inbound) int { return cmp.Compare(a.PacketID, b.PacketID) })
	if s.Outbound, err = decodeByID(reply[3], decodeOutbound); err != nil {
		return s, err
	}
	slices.SortFunc(s.Outbound, func(a, b sessionstore.Outbound) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.PacketID, b.PacketID))
	})
	return s, nil
}

func decodeMeta(s *sessionstore.Session, flat any) error {
	defer func() { slices.Sort(s.Groups) }()
	return eachField(flat, func(name, value string) (err error) {
		if filter, ok := strings.CutPrefix(name, "g:"); ok {
			s.Groups = append(s.Groups, filter)
			return nil
		}
		switch name {
		case "v":
			if value != "1" {
				err = errRecord
			}
		case "epoch":
			s.Epoch, err = strconv.ParseUint(value, 10, 64)
		case "incarnation":
			s.Incarnation, err = strconv.ParseUint(value, 10, 64)
		case "owner":
			s.Owner = value
		case "expiry":
			var n uint64
			n, err = strconv.ParseUint(value, 10, 32)
			s.Expiry = uint32(n)
		case "released":
			var ms int64
			ms, err = strconv.ParseInt(value, 10, 64)
			s.ReleasedAt = time.UnixMilli(ms).UTC()
		case "inbox":
			s.Inbox = value
		}
		// Any other field belongs to the scripts, or to a later version that kept the meaning of these.
		if err != nil {
			return fmt.Errorf("%w: meta field %s", errRecord, name)
		}
		return nil
	})
}

func decodeByID[R any](flat any, decode func(uint16, string) (R, error)) (out []R, err error) {
	err = eachField(flat, func(field, value string) error {
		id, err := strconv.ParseUint(field, 10, 16)
		if err != nil {
			return fmt.Errorf("%w: packet identifier %q", errRecord, field)
		}
		r, err := decode(uint16(id), value)
		out = append(out, r)
		return err
	})
	return out, err
}

// eachField walks a hash as HGETALL inside a script gives it: field, value, field, value.
func eachField(flat any, do func(field, value string) error) error {
	list, ok := flat.([]any)
	if !ok || len(list)%2 != 0 {
		return fmt.Errorf("%w: a hash came as %T", errRecord, flat)
	}
	for i := 0; i < len(list); i += 2 {
		field, ok1 := list[i].(string)
		value, ok2 := list[i+1].(string)
		if !ok1 || !ok2 {
			return fmt.Errorf("%w: a hash holds %T, %T", errRecord, list[i], list[i+1])
		}
		if err := do(field, value); err != nil {
			return err
		}
	}
	return nil
}
