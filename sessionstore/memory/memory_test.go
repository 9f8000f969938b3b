package memory_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/sessionstore"
	"sluice/sessionstore/memory"
	"sluice/sessionstore/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fresh: nodes share one instance, as nodes share a Redis.
func fresh(t *testing.T) func() sessionstore.Store {
	s := memory.New(memory.Options{Times: storetest.Quick, Retained: storetest.Quota})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return func() sessionstore.Store { return s }
}

func TestContract(t *testing.T) { storetest.Run(t, fresh) }

func TestCompareWithItself(t *testing.T) { storetest.Compare(t, fresh, fresh) }

func TestCompareRetainedWithItself(t *testing.T) { storetest.CompareRetained(t, fresh, fresh) }

func TestFullStoreKeepsWhatItHas(t *testing.T) {
	s := memory.New(memory.Options{MaxSessions: 3})
	defer func() { _ = s.Close() }()
	now := time.Now()
	request := func(i int) sessionstore.ClaimRequest {
		return sessionstore.ClaimRequest{Key: sessionstore.Key{ClientID: fmt.Sprint(i)}, Node: "n", Expiry: 60, Now: now}
	}
	var last sessionstore.Claimed
	for i := range 3 {
		c, err := s.Claim(t.Context(), request(i))
		if err != nil {
			t.Fatal(err)
		}
		last = c
	}
	if _, err := s.Claim(t.Context(), request(3)); !errors.Is(err, sessionstore.ErrFull) {
		t.Fatalf("one session too many: %v, want ErrFull", err)
	}
	if c, err := s.Claim(t.Context(), request(0)); err != nil || !c.Present {
		t.Fatalf("a session that is there: present %v, %v", c.Present, err)
	}
	// One that ended makes room.
	f := sessionstore.Fence{Key: last.Session.Key, Epoch: last.Session.Epoch}
	if _, err := s.Release(t.Context(), f, sessionstore.ReleaseRequest{Now: now}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), request(3)); !errors.Is(err, sessionstore.ErrFull) {
		t.Fatalf("the released session has not ended yet: %v, want ErrFull", err)
	}
	now = now.Add(time.Minute)
	if _, err := s.Claim(t.Context(), request(3)); err != nil {
		t.Fatalf("after a session ended: %v", err)
	}
}
