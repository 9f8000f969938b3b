package storetest

import (
	"errors"
	"slices"
	"testing"

	"sluice/sessionstore"
)

func epochs(t *testing.T, s sessionstore.Store, keys ...sessionstore.Key) []uint64 {
	t.Helper()
	out, err := s.Epochs(t.Context(), keys)
	if err != nil {
		t.Fatalf("Epochs: %v", err)
	}
	return out
}

func epochsAreCurrent(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	first := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	taken := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	ended := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	released := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60})
	again := claim(t, b, sessionstore.ClaimRequest{Key: taken.Session.Key, Node: "node-b", Expiry: 60})
	mustRelease(t, b, fence(ended), start, true)
	mustRelease(t, b, fence(released), start, false)
	unknown := newKey()
	want := []uint64{0, again.Session.Epoch, first.Session.Epoch, 0, released.Session.Epoch, first.Session.Epoch}
	for _, s := range []sessionstore.Store{a, b} {
		same(t, "epochs", want, epochs(t, s, unknown, taken.Session.Key, first.Session.Key, ended.Session.Key, released.Session.Key, first.Session.Key))
	}
	if got := epochs(t, a); len(got) != 0 {
		t.Fatalf("of no session: %v", got)
	}
	back := claim(t, a, sessionstore.ClaimRequest{Key: ended.Session.Key, Expiry: 60})
	same(t, "created again", []uint64{back.Session.Epoch}, epochs(t, b, ended.Session.Key))
}

// epochsOfMany: a call of the greatest size, answered in the order asked.
func epochsOfMany(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	keys := make([]sessionstore.Key, sessionstore.MaxEpochs)
	want := make([]uint64, len(keys))
	for i := range keys {
		keys[i] = newKey()
		if i%3 == 0 {
			want[i] = claim(t, s, sessionstore.ClaimRequest{Key: keys[i], Expiry: 60}).Session.Epoch
		}
	}
	same(t, "epochs", want, epochs(t, s, keys...))
	if _, err := s.Epochs(t.Context(), slices.Concat(keys, []sessionstore.Key{newKey()})); !errors.Is(err, sessionstore.ErrInvalid) {
		t.Fatalf("one more than a call may ask for: %v, want ErrInvalid", err)
	}
	if _, err := s.Epochs(t.Context(), []sessionstore.Key{{}}); !errors.Is(err, sessionstore.ErrInvalid) {
		t.Fatalf("a key no device has: %v, want ErrInvalid", err)
	}
}

// epochsAfterASweep: the owner that was taken for dead sees that its epoch is over, also before anybody claims the session.
func epochsAfterASweep(t *testing.T, fresh Fresh) {
	t.Parallel()
	node := fresh(t)
	a, b := node(), node()
	kill := alive(t, a, "dies")
	c := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Node: "dies", Expiry: 60})
	same(t, "while it lives", []uint64{c.Session.Epoch}, epochs(t, b, c.Session.Key))
	kill()
	sweepUntil(t, b, "sweeper", 1)
	if got := epochs(t, a, c.Session.Key)[0]; got <= c.Session.Epoch {
		t.Fatalf("swept: epoch %d, want one above %d", got, c.Session.Epoch)
	}
}
