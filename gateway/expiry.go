package gateway

import (
	"time"

	"sluice/gateway/bridge"
	"sluice/mapping/failure"
)

// expired ends a connection whose principal has expired.
var expired = bridge.CloseFor(failure.AuthExpired)

// due is the next time at which something is to be done for the device; zero: none. The timer of its deadlines is also that of the principal's end, so that a
// device whose principal does not expire pays nothing.
func (d *device) due() time.Time {
	at := d.deadline
	if end := d.expires(); !end.IsZero() && (at.IsZero() || end.Before(at)) {
		at = end
	}
	return at
}

// expires is when the connection is closed because of its principal; zero: not at all, or it is being closed already.
func (d *device) expires() time.Time {
	if d.closed || d.expired {
		return time.Time{}
	}
	return d.principal.Load().Expires
}

// expire reports whether the principal has expired, once. A re-authentication has put another one in its place.
func (d *device) expire(now time.Time) bool {
	end := d.expires()
	d.expired = d.expired || !end.IsZero() && !now.Before(end)
	return d.expired && !end.IsZero()
}
