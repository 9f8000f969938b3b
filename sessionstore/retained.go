package sessionstore

import (
	"context"
	"fmt"
	"time"
)

// Retained is the retained message of a topic [MQTT-3.3.1-5].
type Retained struct {
	Topic     string
	Principal string    // whose quota it counts against
	ClientID  string    // who published it: for No Local
	Epoch     uint64    // of the connection that published it; zero: of none, and PutRetained knows no order of its messages
	Message   []byte    // opaque to the store, at most MaxRetained bytes
	Expires   time.Time // UTC, to the millisecond; zero: never
}

// RetainedStore keeps the retained messages of each tenant: at most one a topic. Tenants do not see each other's, and do not share quotas.
type RetainedStore interface {
	// PutRetained makes r the retained message of its topic; an empty Message removes what is there [MQTT-3.3.1-6]. It does not block: done is
	// called exactly once, from any goroutine and perhaps before PutRetained returns, with nil once it is stored (and replicated, where the
	// store was opened so), ErrFull (a quota, which the text names, or the server's memory; nothing was changed), or ErrUnavailable after the
	// grace. Puts of one topic through one store are applied in the order of the calls. A put is safe to repeat. done must not block.
	//
	// A put that comes late, of a connection that its session has no more, changes nothing and is answered with nil, if the same Principal and ClientID
	// have put or removed the topic's message under a higher Epoch since. What was removed is known for RetainedGone.
	PutRetained(tenant string, r Retained, done func(error))

	// RetainedTopics gives up to max topics (at most MaxRetainedPage) that have a retained message, in byte order, from <= topic < to; an empty to
	// is no bound. Topics whose message has expired may be among them. The next page begins at the last topic + "\x00": a topic that is
	// there all the time is found, whatever changes between the pages.
	RetainedTopics(ctx context.Context, tenant, from, to string, max int) ([]string, error)
	// GetRetained gives the retained messages of those topics (at most MaxRetainedPage) that have one which has not expired, in the order asked.
	// The answer is as large as they are.
	GetRetained(ctx context.Context, tenant string, topics []string) ([]Retained, error)

	// TrimRetained removes retained messages that have expired, at most MaxTrim, by the store's clock, and says how many. Nodes call it every second
	// or so, again at once while it removes MaxTrim.
	TrimRetained(ctx context.Context) (removed int, err error)
}

// RetainedQuota bounds the retained messages of each tenant. A message takes up RetainedSize bytes. What takes the place of another message
// frees that one's share first, also when that was another principal's; and what does not add to a number is not refused for it. Zero fields
// get the defaults of this package. What has expired counts until it is removed: by TrimRetained, or to make room.
type RetainedQuota struct {
	Messages, Bytes                   int // of the tenant
	PrincipalMessages, PrincipalBytes int // of each of its principals; by default as for the tenant
}

// OrDefault fills in what is zero.
func (q RetainedQuota) OrDefault() RetainedQuota {
	if q.Messages <= 0 {
		q.Messages = MaxRetainedMessages
	}
	if q.Bytes <= 0 {
		q.Bytes = MaxRetainedBytes
	}
	if q.PrincipalMessages <= 0 {
		q.PrincipalMessages = q.Messages
	}
	if q.PrincipalBytes <= 0 {
		q.PrincipalBytes = q.Bytes
	}
	return q
}

// RetainedLimit is one of the numbers of a RetainedQuota.
type RetainedLimit int

// The limits, in the order in which a put meets them.
const (
	TenantMessages RetainedLimit = iota
	TenantBytes
	PrincipalMessages
	PrincipalBytes
)

// Refuse gives the ErrFull that names the limit which a put has met.
func (q RetainedQuota) Refuse(l RetainedLimit) error {
	whose, what, most := "tenant", "retained messages", q.Messages
	switch l {
	case TenantBytes:
		what, most = "bytes of retained messages", q.Bytes
	case PrincipalMessages:
		whose, most = "principal", q.PrincipalMessages
	case PrincipalBytes:
		whose, what, most = "principal", "bytes of retained messages", q.PrincipalBytes
	}
	return fmt.Errorf("%w: a %s may have %d %s", ErrFull, whose, most, what)
}

// Size is what the message counts against quotas, in bytes: all that its publisher chose.
func (r Retained) Size() int {
	return len(r.Topic) + len(r.Principal) + len(r.ClientID) + len(r.Message)
}

// Expired tells whether the message is over at now.
func (r Retained) Expired(now time.Time) bool { return !r.Expires.IsZero() && !now.Before(r.Expires) }

// ValidateRetained refuses a put that no implementation can apply, with ErrInvalid.
func ValidateRetained(tenant string, r Retained) error {
	for _, f := range []struct{ name, value string }{
		{"tenant", tenant}, {"topic", r.Topic}, {"principal", r.Principal}, {"client id", r.ClientID},
	} {
		if err := validString("retained: the "+f.name, f.value); err != nil {
			return err
		}
	}
	switch {
	case r.Topic == "":
		return fmt.Errorf("%w: retained: the topic is empty", ErrInvalid)
	case len(r.Message) > MaxRetained:
		return fmt.Errorf("%w: retained: the message has %d bytes, at most %d are kept", ErrInvalid, len(r.Message), MaxRetained)
	case !r.Expires.IsZero() && (r.Expires.UnixMilli() < 1 || r.Expires.Year() > 9999):
		return fmt.Errorf("%w: retained: it expires at %v, want a time from 1970 to 9999, or the zero time for never", ErrInvalid, r.Expires)
	}
	return nil
}

// ValidateRetainedPage refuses what no RetainedTopics (with how many topics are asked for) or GetRetained (with the topics) can answer.
func ValidateRetainedPage(tenant string, n int, topics ...string) error {
	if n < 0 || n > MaxRetainedPage {
		return fmt.Errorf("%w: retained: %d topics, want 0 to %d a call", ErrInvalid, n, MaxRetainedPage)
	}
	if err := validString("retained: the tenant", tenant); err != nil {
		return err
	}
	for _, topic := range topics {
		// One byte more than a topic has: the bounds of a page may be made of one.
		if len(topic) > MaxString+1 {
			return validString("retained: the topic", topic)
		}
	}
	return nil
}
