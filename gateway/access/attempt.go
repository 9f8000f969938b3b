package access

import (
	"context"
	"errors"
	"net/netip"
)

// Attempt is what a device shows with CONNECT, or with AUTH.
type Attempt struct {
	Listener string // its key: mqtt.tls.listen
	Remote   netip.Addr
	ClientID string // as CONNECT has it, empty: one is assigned

	UserName    string
	HasUserName bool
	Password    []byte // not kept beyond the call
	HasPassword bool

	// Certificate is whom the device's certificate names, verified; empty: none was shown. Serial tells certificates of one name apart.
	Certificate string
	Serial      string

	// Method and Data are those of an enhanced authentication (MQTT 5, 4.12); Method is empty without one.
	Method string
	Data   []byte
	// Before is who the device is already, when it authenticates again on an open connection; else nil.
	Before *Principal
}

// ErrNotMine says that an attempt shows nothing that this authenticator judges: the next one is asked.
var ErrNotMine = errors.New("nothing here for this authenticator")

// Refused says that an attempt is not who it claims to be. Nobody else is asked.
type Refused struct {
	Reason string // short, from a fixed set, for metrics and events: unknown-user, wrong-password, token-expired, ...
	Detail string // for the operator; never has the secret that was shown
	// Expired: what was shown is genuine, and was good once. The device may be told, since its clock or its renewal may be what fails.
	Expired bool
	// Unguessable: what was shown cannot be found by trying, such as a signature. It says nothing of others who share an address or a user name.
	Unguessable bool
}

func (r *Refused) Error() string { return r.Reason + ": " + r.Detail }

// Authenticator judges attempts. It may be asked by many at once. It gives ErrNotMine, *Refused, or another error when it cannot judge at present: then
// the device is told that the server is not available, and nobody else is asked.
type Authenticator interface {
	Authenticate(ctx context.Context, a *Attempt) (*Principal, error)
}
