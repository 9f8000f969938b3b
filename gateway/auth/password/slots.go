package password

import (
	"context"
	"errors"
	"runtime"
)

// errBusy: more wait for their turn than there is room for.
var errBusy = errors.New("too many passwords are being checked")

// slots bound the hashes that are computed at a time, and those that wait for it.
type slots struct{ free, waiting chan struct{} }

func newSlots(waiting int) *slots {
	n := min(max(runtime.GOMAXPROCS(0)/2, 1), slotsMax)
	return &slots{free: make(chan struct{}, n), waiting: make(chan struct{}, waiting)}
}

// take waits for a slot. It fails when too many wait, or with ctx. Each slot is to be given back.
func (s *slots) take(ctx context.Context) error {
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default:
		return errBusy
	}
	select {
	case s.free <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errBusy
	}
}

func (s *slots) giveBack() { <-s.free }
