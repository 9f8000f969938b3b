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
		return contentIdentity + bareHash(m)
	}
	if len(id) > maxIdentity {
		sum := sha256.Sum256([]byte(id))
		return "i:" + hashText(sum[:])
	}
	return id
}

// hashText is half a SHA-256 in hex: 128 bits, beyond reach of accident and of a birthday search within one session's window.
func hashText(sum []byte) string { return hex.EncodeToString(sum[:sha256.Size/2]) }

// bareHash hashes the immutable sections.
func bareHash(m *message.Message) string {
	d := digest{hash: sha256.New(), scratch: make([]byte, 0, 64)}
	p := &m.Properties
	d.bytes(p.UserID)
	d.text(p.To)
	d.text(p.Subject)
	d.text(p.ReplyTo)
	d.value(p.CorrelationID, 0)
	d.text(p.ContentType)
	d.text(p.ContentEncoding)
	d.time(p.AbsoluteExpiry)
	d.time(p.CreationTime)
	d.text(p.GroupID)
	if p.GroupSequence == nil {
		d.value(nil, 0)
	} else {
		d.value(*p.GroupSequence, 0)
	}
	d.text(p.ReplyToGroupID)
	d.entries(m.ApplicationProperties, 0)
	d.length('D', len(m.Data))
	for _, data := range m.Data {
		d.bytes(data)
	}
	d.value(m.HasValue, 0)
	d.value(m.Value, 0)
	d.length('S', len(m.Sequence))
	for _, list := range m.Sequence {
		d.list(list, 0)
	}
	return hashText(d.hash.Sum(d.scratch[:0]))
}

// digest feeds values to a hash. Each is led by its type and length, so that no two messages feed the same bytes. What is fed must not change between
// versions of the gateway: the store keeps identities.
type digest struct {
	hash    hash.Hash
	scratch []byte // what is handed to an interface is on the heap: here once, not for each value
}

func (d *digest) length(tag byte, n int) {
	d.scratch = binary.BigEndian.AppendUint64(append(d.scratch[:0], tag), uint64(n))
	d.hash.Write(d.scratch)
}

func (d *digest) bytes(v []byte) {
	d.length('b', len(v))
	d.hash.Write(v)
}

// begin starts a scalar's text in scratch, behind room for its tag and length; end feeds it.
func (d *digest) begin(text string) []byte {
	return append(append(d.scratch[:0], make([]byte, scalarLead)...), text...)
}

func (d *digest) end(b []byte) {
	b[0] = 't'
	binary.BigEndian.PutUint64(b[1:], uint64(len(b)-scalarLead))
	d.hash.Write(b)
	d.scratch = b
}

const scalarLead = 1 + 8 // tag and length

func (d *digest) text(s string) { d.end(append(d.begin("string "), s...)) }

func (d *digest) time(t time.Time) { d.end(strconv.AppendInt(d.begin("time "), t.UnixMilli(), 10)) }

func (d *digest) list(list []any, depth int) {
	d.length('l', len(list))
	for _, e := range list {
		d.value(e, depth+1)
	}
}

func (d *digest) entries(m map[string]any, depth int) {
	d.length('m', len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if depth < maxNesting {
			d.text(key)
		}
		d.value(m[key], depth+1)
	}
}

func (d *digest) value(v any, depth int) {
	if depth > maxNesting {
		return
	}
	switch v := v.(type) {
	case []byte:
		d.bytes(v)
	case []any:
		d.list(v, depth)
	case map[string]any:
		d.entries(v, depth)
	case message.Described:
		d.length('d', 2)
		d.value(v.Descriptor, depth+1)
		d.value(v.Value, depth+1)
	default:
		d.scalar(v)
	}
}

// scalar tells scalars of different type or value apart: "%T %v", with the usual ones spelled out.
func (d *digest) scalar(v any) {
	switch v := v.(type) {
	case nil:
		d.end(d.begin("<nil> <nil>"))
	case string:
		d.text(v)
	case bool:
		d.end(strconv.AppendBool(d.begin("bool "), v))
	case time.Time:
		d.time(v)
	case float64: // by bits: NaN must equal itself
		d.end(strconv.AppendUint(d.begin("float64 "), math.Float64bits(v), 16))
	case float32:
		d.end(strconv.AppendUint(d.begin("float32 "), uint64(math.Float32bits(v)), 16))
	default:
		d.end(fmt.Appendf(d.begin(""), "%T %v", v, v))
	}
}
