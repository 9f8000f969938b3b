package node

import (
	"errors"
	"fmt"

	"sluice/amqp/client"
	"sluice/gateway/secure"
	"sluice/sessionstore"
)

// MendBus adds to an error of the bus's client what to do about it. It keeps credentials out, as the client does.
func MendBus(err error) error {
	if errors.Is(err, client.ErrLogin) {
		return fmt.Errorf("%w; put the right ones into bus.url, percent-encoded", err)
	}
	if mended := secure.Mend("bus.tls", err); mended != err { //nolint:errorlint // the same value: nothing was added
		return mended
	}
	return fmt.Errorf("%w; look whether the bus runs there, and speaks AMQP 1.0 on this port: on TLS with amqps://, without it with amqp://", err)
}

// mendStore does the same for an error of the session store.
func mendStore(err error) error {
	if mended := secure.Mend("sessions.tls", err); mended != err { //nolint:errorlint // the same value: nothing was added
		return mended
	}
	if errors.Is(err, sessionstore.ErrUnavailable) && !errors.Is(err, sessionstore.ErrNotReplicated) {
		return fmt.Errorf("%w; look whether Redis runs there, on TLS with rediss://, without it with redis://", err)
	}
	return err
}
