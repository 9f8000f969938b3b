package sessionstore

import (
	"fmt"
	"time"
)

// Validate refuses a request that no implementation can serve, with ErrInvalid.
func (r ClaimRequest) Validate() error {
	if err := ValidateNode(r.Node); err != nil {
		return err
	}
	if err := r.Will.validate(); err != nil {
		return err
	}
	return r.Key.Validate()
}

// ValidateNode refuses a node id no owner can have.
func ValidateNode(node string) error {
	if node == "" {
		return fmt.Errorf("%w: the node id is empty", ErrInvalid)
	}
	return validString("the node id", node)
}

// ValidateWrite refuses a Write that no implementation can apply, with ErrInvalid.
func ValidateWrite(f Fence, ops []Op) error {
	if err := f.Key.Validate(); err != nil {
		return err
	}
	if len(ops) > MaxOps {
		return fmt.Errorf("%w: write: %d ops, at most %d apply in one step", ErrInvalid, len(ops), MaxOps)
	}
	for i, op := range ops {
		field, value, ok := longest(op)
		if !ok {
			return fmt.Errorf("%w: write: op %d (%T) is no op of this package", ErrInvalid, i, op)
		}
		if put, is := op.(PutOutbound); is && put.Record.Attempts > MaxAttempts {
			return fmt.Errorf("%w: write: op %d (%T): %d attempts, at most %d are counted", ErrInvalid, i, op, put.Record.Attempts, MaxAttempts)
		}
		if len(value) > MaxString {
			return validString(fmt.Sprintf("write: op %d (%T): the %s", i, op, field), value)
		}
	}
	return nil
}

// ValidateEpochs refuses what no Epochs can answer, with ErrInvalid.
func ValidateEpochs(keys []Key) error {
	if len(keys) > MaxEpochs {
		return fmt.Errorf("%w: epochs: %d sessions, at most %d a call", ErrInvalid, len(keys), MaxEpochs)
	}
	for _, key := range keys {
		if err := key.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// longest names the one field of an op that has no fixed size.
func longest(op Op) (field, value string, ok bool) {
	switch op := op.(type) {
	case PutSubscription:
		return "filter", op.Subscription.Filter, true
	case DeleteSubscription:
		return "filter", op.Filter, true
	case PutInbound:
		return "message-id", op.Record.MessageID, true
	case AcceptInbound:
		return "message-id", op.MessageID, true
	case PutOutbound:
		return "identity", op.Record.Identity, true
	case SetInbox:
		return "inbox", op.Name, true
	case DeleteInbound, DeleteOutbound, SetExpiry:
		return "", "", true
	}
	return "", "", false
}

// Ended tells whether the session is over at now: released, and its expiry interval has passed. A session somebody owns never is.
func (s Session) Ended(now time.Time) bool {
	if s.Owner != "" || s.Expiry == NeverExpires {
		return false
	}
	return !now.Before(s.ReleasedAt.Add(time.Duration(s.Expiry) * time.Second))
}
