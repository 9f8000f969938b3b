package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"sluice/sessionstore"
)

func will(delay uint32, text string) *sessionstore.Will {
	return &sessionstore.Will{Delay: delay, Message: []byte(text)}
}

// withWill claims a session of 60 s for node-a.
func withWill(t *testing.T, s sessionstore.Store, w *sessionstore.Will) sessionstore.Claimed {
	t.Helper()
	return claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 60, Will: w})
}

// kept releases with the will kept, and checks whether that makes work.
func kept(t *testing.T, s sessionstore.Store, c sessionstore.Claimed, req sessionstore.ReleaseRequest, want bool) {
	t.Helper()
	work, err := releaseWith(t, s, fence(c), req)
	if err != nil || work != want {
		t.Fatalf("Release: work %v, %v; want work %v", work, err, want)
	}
}

func willKept(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	c := withWill(t, a, will(0, "gone"))
	kept(t, a, c, sessionstore.ReleaseRequest{}, true)
	want := left(c, c.Session.Epoch)
	want.Will = will(0, "gone")
	takeAndFinish(t, b, want)
	if found := mustGet(t, a, c.Session.Key, start); found.Owner != "" || found.Incarnation != c.Session.Incarnation {
		t.Fatalf("the session did not stay: %+v", found)
	}
	// Published once: not again by the next connection, nor by its end.
	c = claim(t, a, sessionstore.ClaimRequest{Key: c.Session.Key, Expiry: 60})
	kept(t, a, c, sessionstore.ReleaseRequest{End: true}, false)
	nothingDue(t, a)
}

func willDropped(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	for _, end := range []bool{false, true} {
		c := withWill(t, s, will(0, "x"))
		kept(t, s, c, sessionstore.ReleaseRequest{End: end, Will: sessionstore.WillDropped}, false)
		nothingDue(t, s)
		c = claim(t, s, sessionstore.ClaimRequest{Key: c.Session.Key, Clean: true})
		if c.Work {
			t.Fatalf("end %v: the dropped will is work for the next claim", end)
		}
	}
}

func willWaits(t *testing.T, fresh Fresh) {
	t.Parallel()
	s := fresh(t)()
	began := time.Now()
	c := withWill(t, s, will(1, "late"))
	// Whatever the node's clock says.
	kept(t, s, c, sessionstore.ReleaseRequest{Now: start.Add(-time.Hour)}, false)
	skewed := withWill(t, s, will(1, "late"))
	kept(t, s, skewed, sessionstore.ReleaseRequest{Now: start.Add(time.Hour)}, false)
	nothingDue(t, s)
	want, other := left(c, c.Session.Epoch), left(skewed, skewed.Session.Epoch)
	want.Will, other.Will = will(1, "late"), will(1, "late")
	takeAndFinish(t, s, want, other)
	if took := time.Since(began); took < 990*time.Millisecond {
		t.Fatalf("due after %v, want its delay of 1 s", took)
	}
}

func willAtTheEnd(t *testing.T, fresh Fresh) {
	t.Parallel()
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 1, Will: will(1000, "end")})
	mustWrite(t, s, fence(c), sessionstore.SetInbox{Name: "q"})
	kept(t, s, c, sessionstore.ReleaseRequest{Now: start.Add(time.Hour)}, false)
	silent := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 1})
	mustWrite(t, s, fence(silent), sessionstore.SetInbox{Name: "q2"})
	kept(t, s, silent, sessionstore.ReleaseRequest{}, false)
	nothingDue(t, s)
	first, second := left(c, c.Session.Epoch), left(silent, silent.Session.Epoch)
	first.Will, first.Inbox, first.Ended = will(1000, "end"), "q", true
	second.Inbox, second.Ended = "q2", true
	takeAndFinish(t, s, first, second)
	// The store ended it, by its own clock.
	if _, err := get(t, s, c.Session.Key, start); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Fatalf("Get: %v, want ErrNotFound", err)
	}
}

func endIsWork(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	for _, expiry := range []uint32{0, 60} {
		c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: expiry, Will: will(1000, "end")})
		mustWrite(t, s, fence(c), sessionstore.SetInbox{Name: "q"})
		kept(t, s, c, sessionstore.ReleaseRequest{End: expiry != 0}, true)
		if _, err := get(t, s, c.Session.Key, start); !errors.Is(err, sessionstore.ErrNotFound) {
			t.Fatalf("Get: %v, want ErrNotFound", err)
		}
		// A new session does not take the work of the old, nor does the work take anything of the new.
		again := claim(t, s, sessionstore.ClaimRequest{Key: c.Session.Key, Expiry: 60})
		if again.Present || again.Discarded != nil || !again.Work || again.Session.Inbox != "" {
			t.Fatalf("claim after the end: %+v", again)
		}
		mustWrite(t, s, fence(again), sessionstore.SetInbox{Name: "q"})
		want := left(c, c.Session.Epoch)
		want.Will, want.Inbox, want.Ended = will(1000, "end"), "q", true
		takeAndFinish(t, s, want)
		if found := mustGet(t, s, c.Session.Key, start); found.Inbox != "q" || found.Epoch != again.Session.Epoch {
			t.Fatalf("the new session: %+v", found)
		}
	}
}

func returnCancels(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	c := withWill(t, a, will(1000, "x"))
	kept(t, a, c, sessionstore.ReleaseRequest{}, false)
	c = claim(t, b, sessionstore.ClaimRequest{Key: c.Session.Key, Expiry: 60})
	if !c.Present || c.Work {
		t.Fatalf("back in time: %+v", c)
	}
	kept(t, b, c, sessionstore.ReleaseRequest{End: true}, false)
	nothingDue(t, a)
}

func returnTooLate(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	// The delay has passed: it is published although no worker was as quick as the device [MQTT-3.1.2-8].
	c := withWill(t, s, will(0, "x"))
	kept(t, s, c, sessionstore.ReleaseRequest{}, true)
	back := claim(t, s, sessionstore.ClaimRequest{Key: c.Session.Key, Expiry: 60, Will: will(0, "y")})
	if !back.Present || !back.Work {
		t.Fatalf("back too late: %+v", back)
	}
	want := left(c, c.Session.Epoch)
	want.Will = will(0, "x")
	takeAndFinish(t, s, want)
}

func cleanStartFires(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := withWill(t, s, will(1000, "x"))
	mustWrite(t, s, fence(c), sessionstore.SetInbox{Name: "q"})
	kept(t, s, c, sessionstore.ReleaseRequest{}, false)
	again := claim(t, s, sessionstore.ClaimRequest{Key: c.Session.Key, Expiry: 60, Clean: true})
	if again.Discarded == nil || again.Discarded.Inbox != "q" || !again.Work {
		t.Fatalf("clean start: %+v", again)
	}
	want := left(c, c.Session.Epoch)
	want.Will, want.Inbox, want.Ended = will(1000, "x"), "q", true
	takeAndFinish(t, s, want)
}

func claimReplacesWill(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := withWill(t, s, will(1000, "a"))
	c = claim(t, s, sessionstore.ClaimRequest{Key: c.Session.Key, Expiry: 60, Will: will(0, "b")})
	kept(t, s, c, sessionstore.ReleaseRequest{}, true)
	want := left(c, c.Session.Epoch)
	want.Will = will(0, "b")
	takeAndFinish(t, s, want)

	c = withWill(t, s, will(1000, "a"))
	c = claim(t, s, sessionstore.ClaimRequest{Key: c.Session.Key, Expiry: 60})
	kept(t, s, c, sessionstore.ReleaseRequest{End: true}, false)
	nothingDue(t, s)
}

func takenOverDelayed(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	c := withWill(t, a, will(1000, "x"))
	claim(t, b, sessionstore.ClaimRequest{Key: c.Session.Key, Node: "node-b", Expiry: 60})
	if work, err := releaseWith(t, a, fence(c), sessionstore.ReleaseRequest{}); work || !errors.Is(err, sessionstore.ErrFenced) {
		t.Fatalf("the old owner's word: work %v, %v", work, err)
	}
	nothingDue(t, a)
}

func takenOverWaitsForTheOwner(t *testing.T, fresh Fresh) {
	node := fresh(t)
	a, b := node(), node()
	for _, clean := range []bool{false, true} {
		for _, fate := range []sessionstore.WillFate{sessionstore.WillKept, sessionstore.WillDropped} {
			delay := uint32(0)
			if clean {
				delay = 1000
			}
			c := withWill(t, a, will(delay, "old"))
			if now := claim(t, b, sessionstore.ClaimRequest{
				Key: c.Session.Key, Node: "node-b", Expiry: 60, Clean: clean, Will: will(0, "new"),
			}); now.Work {
				t.Fatalf("clean %v: the old owner has not said a word, and something is due", clean)
			}
			nothingDue(t, b)
			work, err := releaseWith(t, a, fence(c), sessionstore.ReleaseRequest{Will: fate})
			if !errors.Is(err, sessionstore.ErrFenced) || work != (fate == sessionstore.WillKept) {
				t.Fatalf("clean %v, fate %v: work %v, %v", clean, fate, work, err)
			}
			if work {
				want := left(c, c.Session.Epoch)
				want.Will = will(delay, "old")
				takeAndFinish(t, b, want)
			}
			if work, err := releaseWith(t, a, fence(c), sessionstore.ReleaseRequest{}); !errors.Is(err, sessionstore.ErrFenced) || work {
				t.Fatalf("clean %v: a second word: work %v, %v", clean, work, err)
			}
			nothingDue(t, b)
		}
	}
}

func silentOwner(t *testing.T, fresh Fresh) {
	t.Parallel()
	node := fresh(t)
	a, b := node(), node()
	c := claim(t, a, sessionstore.ClaimRequest{Key: newKey(), Will: will(0, "x")})
	second := claim(t, b, sessionstore.ClaimRequest{Key: c.Session.Key, Node: "node-b", Will: will(0, "y")})
	<-time.After(Quick.Lease / 2)
	claim(t, a, sessionstore.ClaimRequest{Key: c.Session.Key})
	<-time.After(Quick.Lease/2 + 100*time.Millisecond)
	work, err := releaseWith(t, a, fence(c), sessionstore.ReleaseRequest{})
	if !errors.Is(err, sessionstore.ErrFenced) || work {
		t.Fatalf("the word of an owner long thought dead: work %v, %v", work, err)
	}
	nothingDue(t, b)
	// Each owner has its own time.
	work, err = releaseWith(t, b, fence(second), sessionstore.ReleaseRequest{})
	if !errors.Is(err, sessionstore.ErrFenced) || !work {
		t.Fatalf("the word of the one after it: work %v, %v", work, err)
	}
	want := left(second, second.Session.Epoch)
	want.Will = will(0, "y")
	takeAndFinish(t, b, want)
}

func firstWordCounts(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := withWill(t, s, will(1000, "x"))
	kept(t, s, c, sessionstore.ReleaseRequest{}, false)
	work, err := releaseWith(t, s, fence(c), sessionstore.ReleaseRequest{End: true, Will: sessionstore.WillDropped})
	if err != nil || !work {
		t.Fatalf("ended after it was released: work %v, %v", work, err)
	}
	want := left(c, c.Session.Epoch)
	want.Will, want.Ended = will(1000, "x"), true
	takeAndFinish(t, s, want)

	c = withWill(t, s, will(0, "x"))
	kept(t, s, c, sessionstore.ReleaseRequest{Will: sessionstore.WillDropped}, false)
	kept(t, s, c, sessionstore.ReleaseRequest{End: true}, false)
	nothingDue(t, s)
}

func willRefused(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	long := &sessionstore.Will{Message: make([]byte, sessionstore.MaxWill+1)}
	_, err := s.Claim(t.Context(), sessionstore.ClaimRequest{Key: newKey(), Node: "n", Now: start, Will: long})
	if !errors.Is(err, sessionstore.ErrInvalid) {
		t.Fatalf("a will over the limit: %v, want ErrInvalid", err)
	}
	long.Message = long.Message[:sessionstore.MaxWill]
	for i := range long.Message {
		long.Message[i] = byte(i)
	}
	c := withWill(t, s, long)
	kept(t, s, c, sessionstore.ReleaseRequest{}, true)
	got := awaitDue(t, s, 1)
	if len(got) != 1 || got[0].Will == nil || !bytes.Equal(got[0].Will.Message, long.Message) {
		t.Fatalf("a will of %d bytes did not come back", sessionstore.MaxWill)
	}
	finish(t, s, got[0])
}

func workIsBounded(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	key := newKey()
	for i := range sessionstore.MaxWork {
		c := claim(t, s, sessionstore.ClaimRequest{Key: key, Will: will(0, fmt.Sprint(i))})
		kept(t, s, c, sessionstore.ReleaseRequest{}, true)
	}
	_, err := s.Claim(t.Context(), sessionstore.ClaimRequest{Key: key, Node: "n", Now: start})
	if !errors.Is(err, sessionstore.ErrFull) {
		t.Fatalf("one piece more: %v, want ErrFull", err)
	}
	done := map[string]bool{}
	for len(done) < sessionstore.MaxWork {
		for _, w := range awaitDue(t, s, 1) {
			if text := string(w.Will.Message); done[text] || w.Again {
				t.Fatalf("will %s was due twice", text)
			} else {
				done[text] = true
			}
			finish(t, s, w)
		}
	}
	claim(t, s, sessionstore.ClaimRequest{Key: key})
}

// The answer of a Release can be lost, and it is made again: a Will that the first one made due stays due, although the session goes on to its end.
func repeatedRelease(t *testing.T, fresh Fresh) {
	s := fresh(t)()
	c := claim(t, s, sessionstore.ClaimRequest{Key: newKey(), Expiry: 5000, Will: will(0, "x")})
	mustWrite(t, s, fence(c), sessionstore.SetInbox{Name: "q"})
	for range 2 {
		if _, err := releaseWith(t, s, fence(c), sessionstore.ReleaseRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	want := left(c, c.Session.Epoch)
	want.Will = will(0, "x")
	takeAndFinish(t, s, want)
}
