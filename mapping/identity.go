package mapping

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/amqp/message"
)

// contentIdentity leads an identity that is made of the content alone.
const contentIdentity = "h:"

// Unique reports whether no other message has this identity. Equal messages without a message-id have the same.
func Unique(identity string) bool { return !strings.HasPrefix(identity, contentIdentity) }

// Identity is DownlinkMessage.Identity of a message that is for every subscription, for who skipped it.
func Identity(m *message.Message) string { return identity(m) }

// identity names a message the same way each time the bus delivers it, to whichever node. It is the message-id, led by its type since
// the string "7" and the number 7 are different ids [AMQP 3.2.4]:
//
//	s:text   u:decimal   g:uuid   b:hex   i:hash of an id longer than maxIdentity   h:hash of the bare message, where there is no id
//
// The bare message (properties, application-properties, body) is immutable on its way [AMQP 3.2], so its hash is stable; but two
// equal messages without an id cannot be told apart.
func identity(m *message.Message) string {
	var id string
	switch v := m.Properties.MessageID.(type) {
	case string:
		id = "s:" + v
	case uint64:
		id = "u:" + strconv.FormatUint(v, 10)
	case message.UUID:
		id = "g:" + uuidText(v)
	case []byte:
		id = "b:" + hex.EncodeToString(v)
	default:
		return contentIdentity + hashText(func(w hash.Hash) { hashBare(w, m) })
	}
	if len(id) > maxIdentity {
		return "i:" + hashText(func(w hash.Hash) { w.Write([]byte(id)) })
	}
	return id
}

// hashText is half a SHA-256 in hex: 128 bits, beyond reach of accident and of a birthday search within one session's window.
func hashText(write func(hash.Hash)) string {
	w := sha256.New()
	write(w)
	return hex.EncodeToString(w.Sum(nil)[:16])
}

// hashBare feeds the immutable sections. Each value is led by its type and length, so that no two messages feed the same bytes.
func hashBare(w hash.Hash, m *message.Message) {
	p := &m.Properties
	sequence := any(nil)
	if p.GroupSequence != nil {
		sequence = *p.GroupSequence
	}
	for _, v := range []any{
		p.UserID, p.To, p.Subject, p.ReplyTo, p.CorrelationID, p.ContentType, p.ContentEncoding,
		p.AbsoluteExpiry, p.CreationTime, p.GroupID, sequence, p.ReplyToGroupID,
	} {
		hashValue(w, v, 0)
	}
	hashValue(w, m.ApplicationProperties, 0)
	hashLength(w, 'D', len(m.Data))
	for _, data := range m.Data {
		hashValue(w, data, 0)
	}
	hashValue(w, m.HasValue, 0)
	hashValue(w, m.Value, 0)
	hashLength(w, 'S', len(m.Sequence))
	for _, list := range m.Sequence {
		hashValue(w, list, 0)
	}
}

func hashLength(w hash.Hash, tag byte, n int) {
	var b [9]byte
	b[0] = tag
	binary.BigEndian.PutUint64(b[1:], uint64(n))
	w.Write(b[:])
}

func hashValue(w hash.Hash, v any, depth int) {
	if depth > maxNesting {
		return
	}
	switch v := v.(type) {
	case []byte:
		hashLength(w, 'b', len(v))
		w.Write(v)
	case []any:
		hashLength(w, 'l', len(v))
		for _, e := range v {
			hashValue(w, e, depth+1)
		}
	case map[string]any:
		hashLength(w, 'm', len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			hashValue(w, key, depth+1)
			hashValue(w, v[key], depth+1)
		}
	case message.Described:
		hashLength(w, 'd', 2)
		hashValue(w, v.Descriptor, depth+1)
		hashValue(w, v.Value, depth+1)
	default:
		text := scalarText(v)
		hashLength(w, 't', len(text))
		w.Write([]byte(text))
	}
}

// scalarText tells scalars of different type or value apart.
func scalarText(v any) string {
	switch v := v.(type) {
	case time.Time:
		return "time " + strconv.FormatInt(v.UnixMilli(), 10)
	case float64: // by bits: NaN must equal itself
		return "float64 " + strconv.FormatUint(math.Float64bits(v), 16)
	case float32:
		return "float32 " + strconv.FormatUint(uint64(math.Float32bits(v)), 16)
	}
	return fmt.Sprintf("%T %v", v, v)
}
