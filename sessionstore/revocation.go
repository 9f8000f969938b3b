package sessionstore

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"
)

// Revocation takes back what was let in: credentials that were made before At, until Until. It names one thing: a credential, or of a tenant a
// principal or a client identifier.
type Revocation struct {
	ID         string // unique; made by whoever makes the revocation
	Tenant     string // empty with Credential, whose names are unique among tenants
	Principal  string
	ClientID   string
	Credential string
	Reason     string    // for people
	At         time.Time // UTC, to the millisecond, as Until is
	Until      time.Time
}

// RevocationStore keeps revocations until they are over or somebody removes them.
type RevocationStore interface {
	// PutRevocation adds a revocation, or replaces the one of the same ID. ErrFull: there are MaxRevocations that are not over.
	PutRevocation(ctx context.Context, r Revocation) error
	// RemoveRevocation removes one. Repeating it is no error.
	RemoveRevocation(ctx context.Context, id string) error
	// Revocations gives all there are, in the order of their IDs, and the version of the list: it changes with each change of the list. With known
	// being that version it gives no list, and costs next to nothing. Those that are over may be among them.
	Revocations(ctx context.Context, known uint64) (list []Revocation, version uint64, err error)
}

// Validate refuses a revocation that no implementation can keep, with ErrInvalid.
func (r Revocation) Validate() error {
	named := 0
	for _, f := range []struct{ name, value string }{
		{"id", r.ID}, {"tenant", r.Tenant}, {"principal", r.Principal}, {"client id", r.ClientID}, {"credential", r.Credential}, {"reason", r.Reason},
	} {
		if len(f.value) > MaxRevocationText {
			return fmt.Errorf("%w: revocation: the %s has %d bytes, at most %d are kept", ErrInvalid, f.name, len(f.value), MaxRevocationText)
		}
		if !utf8.ValidString(f.value) {
			return fmt.Errorf("%w: revocation: the %s is not UTF-8", ErrInvalid, f.name)
		}
	}
	for _, s := range []string{r.Principal, r.ClientID, r.Credential} {
		if s != "" {
			named++
		}
	}
	switch {
	case r.ID == "":
		return fmt.Errorf("%w: revocation: the id is empty", ErrInvalid)
	case named != 1:
		return fmt.Errorf("%w: revocation: name one of principal, client id and credential", ErrInvalid)
	case (r.Tenant == "") != (r.Credential != ""):
		return fmt.Errorf("%w: revocation: a tenant goes with a principal or a client id, and with nothing else", ErrInvalid)
	case r.At.UnixMilli() < 1 || r.At.Year() > 9999 || r.Until.Year() > 9999:
		return fmt.Errorf("%w: revocation: it is of %v and ends %v, want times from 1970 to 9999", ErrInvalid, r.At, r.Until)
	case !r.Until.After(r.At):
		return fmt.Errorf("%w: revocation: it ends %v, which is not after %v", ErrInvalid, r.Until, r.At)
	}
	return nil
}

// Over tells whether it counts no longer at now.
func (r Revocation) Over(now time.Time) bool { return !now.Before(r.Until) }
