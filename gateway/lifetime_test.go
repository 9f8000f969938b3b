package gateway

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func TestALifetimeEndsItsContexts(t *testing.T) {
	var l lifetime
	one, leaveOne := l.enter(t.Context())
	other, leaveOther := l.enter(t.Context())
	leaveOne()
	if one.Err() != nil || other.Err() != nil {
		t.Fatal("ended while the device lives and somebody needs it")
	}
	l.end()
	if !errors.Is(other.Err(), context.Canceled) || !l.ended() {
		t.Error("not ended with the device")
	}
	leaveOther()
	if late, leave := l.enter(t.Context()); late.Err() == nil {
		t.Error("who comes late does not learn that it is over")
	} else {
		leave()
	}
}

func TestALifetimeEndsWithItsParent(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	var l lifetime
	ctx, leave := l.enter(parent)
	defer leave()
	cancel()
	<-ctx.Done()
	if l.ended() {
		t.Error("the device ends by itself")
	}
}

func TestALifetimeWithoutUsersHoldsNothing(t *testing.T) {
	var l lifetime
	ctx, leave := l.enter(t.Context())
	leave()
	if ctx.Err() == nil || l.ctx != nil || l.cancel != nil {
		t.Error("the context is still there")
	}
	again, leave := l.enter(t.Context())
	defer leave()
	if again.Err() != nil {
		t.Error("the next one gets what has ended")
	}
}

func TestALifetimeOfMany(t *testing.T) {
	var l lifetime
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 200 {
				ctx, leave := l.enter(t.Context())
				if ctx.Err() != nil {
					t.Error("ended although the device lives")
				}
				leave()
			}
		})
	}
	all.Wait()
}
