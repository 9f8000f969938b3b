package redis

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sluice/sessionstore"
)

const patience = time.Minute

var testKey = sessionstore.Key{Tenant: "t", Principal: "p", ClientID: "device"}

// behindProxy opens the store through a proxy, and one beside it that has no faults. Unless opts say otherwise, steps may wait for as long as a slow machine needs for all
// that a test gives the store at once.
func behindProxy(t *testing.T, opts Options) (p *proxy, faulty, direct *Store) {
	t.Helper()
	url := serverURL(t, "SLUICE_TEST_REDIS_URL")
	opts.Prefix = newPrefix(t, url)
	if opts.Grace == 0 {
		opts.Grace = 5 * time.Minute
	}
	p, through := newProxy(t, url)
	return p, open(t, through, opts), open(t, url, Options{Prefix: opts.Prefix})
}

func mustClaim(t *testing.T, s *Store, req sessionstore.ClaimRequest) (sessionstore.Claimed, sessionstore.Fence) {
	t.Helper()
	if req.Node == "" {
		req.Node = "node-a"
	}
	req.Key, req.Now = testKey, time.Now()
	c, err := s.Claim(t.Context(), req)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return c, sessionstore.Fence{Key: testKey, Epoch: c.Session.Epoch}
}

func release(t *testing.T, s *Store, f sessionstore.Fence, now time.Time, end bool) error {
	t.Helper()
	_, err := s.Release(t.Context(), f, sessionstore.ReleaseRequest{Now: now, End: end})
	return err
}

func mustGet(t *testing.T, s *Store) sessionstore.Session {
	t.Helper()
	found, err := s.Get(t.Context(), testKey, time.Now())
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	return found
}

func await(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("done was not called")
		return nil
	}
}

func send(s *Store, f sessionstore.Fence, ops ...sessionstore.Op) <-chan error {
	done := make(chan error, 1)
	s.Write(f, ops, func(err error) { done <- err })
	return done
}

// inOrder sends writes that show each swap and each loss, and gives what to await.
func inOrder(t *testing.T, s *Store, f sessionstore.Fence, writes int) (finished <-chan error, want sessionstore.Session) {
	end := make(chan error, 1)
	next := 0
	for i := range writes {
		ops := []sessionstore.Op{sessionstore.SetInbox{Name: fmt.Sprint(i)}}
		if i%2 == 0 {
			ops = append(ops, sessionstore.PutInbound{Record: sessionstore.Inbound{PacketID: uint16(i / 2 % 100)}})
		} else {
			ops = append(ops, sessionstore.DeleteInbound{PacketID: uint16(i / 2 % 100)})
		}
		s.Write(f, ops, func(err error) {
			if err != nil || i != next {
				t.Errorf("write %d: answered %v when %d was due", i, err, next)
			}
			if next++; next == writes {
				end <- nil
			}
		})
	}
	return end, sessionstore.Session{Inbox: fmt.Sprint(writes - 1)}
}

func checkInOrder(t *testing.T, s *Store, finished <-chan error, want sessionstore.Session) {
	t.Helper()
	_ = await(t, finished)
	if found := mustGet(t, s); found.Inbox != want.Inbox || len(found.Inbound) != 0 {
		t.Fatalf("inbox %q, want %q; %d inbound records, want none", found.Inbox, want.Inbox, len(found.Inbound))
	}
}

func TestSlowServerKeepsOrder(t *testing.T) {
	p, s, direct := behindProxy(t, Options{})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	p.set(func() { p.delay = 20 * time.Millisecond })
	finished, want := inOrder(t, s, f, 2000)
	checkInOrder(t, direct, finished, want)
}

func TestLostAnswersKeepOrder(t *testing.T) {
	p, s, direct := behindProxy(t, Options{})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	p.set(func() { p.cut = 5 })
	finished, want := inOrder(t, s, f, 2000)
	checkInOrder(t, direct, finished, want)
	if _, struck := p.counts(); struck != 5 {
		t.Fatalf("%d answers were lost, want 5: the test tested nothing", struck)
	}
}

func TestOutageOfThreeSeconds(t *testing.T) {
	core, logged := observer.New(zapcore.DebugLevel)
	p, s, direct := behindProxy(t, Options{Logger: zap.New(core)})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	began := time.Now()
	p.down(3 * time.Second)
	finished, want := inOrder(t, s, f, 2000)
	// A claim and a release wait, too.
	claimed := make(chan error, 1)
	go func() {
		other := sessionstore.Key{ClientID: "other"}
		c, err := s.Claim(t.Context(), sessionstore.ClaimRequest{Key: other, Node: "n", Expiry: 5, Now: time.Now()})
		if err == nil {
			_, err = s.Release(t.Context(), sessionstore.Fence{Key: other, Epoch: c.Session.Epoch}, sessionstore.ReleaseRequest{Now: time.Now(), End: true})
		}
		claimed <- err
	}()
	checkInOrder(t, direct, finished, want)
	if err := await(t, claimed); err != nil {
		t.Fatalf("claim and release during the outage: %v", err)
	}
	if took := time.Since(began); took < 3*time.Second || took > DefaultGrace/2 {
		t.Fatalf("answered after %v, want soon after 3 s", took)
	}
	// Every lane has to succeed once before it is over.
	if err := s.Ready(t.Context()); err != nil {
		t.Fatalf("Ready after the outage: %v", err)
	}
	// A machine that stands still for seconds, with answers unread, may make another outage.
	begun, over := logged.FilterLevelExact(zapcore.WarnLevel).Len(), logged.FilterMessage("session store available again").Len()
	if begun < 1 || begun > 3 || over != begun {
		t.Errorf("%d warnings for one outage, %d lines that it is over: %v", begun, over, logged.All())
	}
}

func TestGraceEnds(t *testing.T) {
	p, s, direct := behindProxy(t, Options{Grace: 300 * time.Millisecond})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	p.down(time.Hour)
	began := time.Now()
	first := send(s, f, sessionstore.SetInbox{Name: "lost"})
	if err := await(t, first); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Fatalf("write: %v, want ErrUnavailable", err)
	}
	if _, err := s.Claim(t.Context(), sessionstore.ClaimRequest{Key: testKey, Node: "n"}); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Fatalf("claim: %v, want ErrUnavailable", err)
	}
	if err := release(t, s, f, time.Now(), true); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Fatalf("release: %v, want ErrUnavailable", err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Fatalf("Ready: %v, want ErrUnavailable", err)
	}
	if took := time.Since(began); took < 300*time.Millisecond || took > DefaultGrace {
		t.Fatalf("four graces of 300 ms took %v", took)
	}
	p.set(func() { p.refuse = false })
	deadline := time.Now().Add(patience)
	for await(t, send(s, f, sessionstore.SetInbox{Name: "back"})) != nil {
		if time.Now().After(deadline) {
			t.Fatal("no write succeeds after the outage")
		}
	}
	if found := mustGet(t, direct); found.Inbox != "back" {
		t.Fatalf("inbox %q", found.Inbox)
	}
}

func TestLostAnswerOfAClaim(t *testing.T) {
	p, s, direct := behindProxy(t, Options{})
	old, f := mustClaim(t, direct, sessionstore.ClaimRequest{Expiry: 60})
	if err := await(t, send(direct, f, sessionstore.SetInbox{Name: "to delete"})); err != nil {
		t.Fatal(err)
	}
	for _, lost := range []int{1, 3} {
		p.set(func() { p.cut = lost })
		c, _ := mustClaim(t, s, sessionstore.ClaimRequest{Node: "node-b", Clean: true, Expiry: 60})
		if unspent, _ := p.counts(); unspent != 0 {
			t.Fatal("the answer was not lost: the test tested nothing")
		}
		if c.Present || c.Discarded == nil || c.Discarded.Inbox != "to delete" || c.Previous == nil || c.Previous.Epoch != old.Session.Epoch {
			t.Fatalf("%d answers lost: %+v; want the answer to the first claim", lost, c)
		}
		if found := mustGet(t, direct); found.Epoch != c.Session.Epoch {
			t.Fatalf("stored epoch %d, told %d", found.Epoch, c.Session.Epoch)
		}
		var f sessionstore.Fence
		old, f = mustClaim(t, direct, sessionstore.ClaimRequest{Expiry: 60})
		if err := await(t, send(direct, f, sessionstore.SetInbox{Name: "to delete"})); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLostAnswerOfARelease(t *testing.T) {
	p, s, direct := behindProxy(t, Options{})
	for _, end := range []bool{true, false} {
		_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
		p.set(func() { p.cut = 1 })
		if err := release(t, s, f, time.Now(), end); err != nil {
			t.Fatalf("end %v: %v", end, err)
		}
		found, err := direct.Get(t.Context(), testKey, time.Now())
		if end != errors.Is(err, sessionstore.ErrNotFound) || found.Owner != "" {
			t.Fatalf("end %v: %+v, %v", end, found, err)
		}
	}
}

// A step stays in the network, is repeated on another connection, is followed by younger ones, and arrives after all.
func TestLateCopyOfAWriteChangesNothing(t *testing.T) {
	p, s, direct := behindProxy(t, Options{})
	s.trip = 200 * time.Millisecond
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	p.set(func() { p.hold = 1 })
	record := sessionstore.Inbound{PacketID: 7, MessageID: "m"}
	if err := await(t, send(s, f, sessionstore.PutInbound{Record: record}, sessionstore.SetInbox{Name: "old"})); err != nil {
		t.Fatal(err)
	}
	if err := await(t, send(s, f, sessionstore.DeleteInbound{PacketID: 7}, sessionstore.SetInbox{Name: "new"})); err != nil {
		t.Fatal(err)
	}
	close(p.let)
	select {
	case <-p.late:
	case <-time.After(patience):
		t.Fatal("the copy never reached Redis: the test tested nothing")
	}
	if found := mustGet(t, direct); len(found.Inbound) != 0 || found.Inbox != "new" {
		t.Fatalf("the late copy was applied: %+v", found)
	}
}

func TestStalledServerIsGivenUp(t *testing.T) {
	p, s, _ := behindProxy(t, Options{Grace: time.Second})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	p.set(func() { p.hold = 1 << 30 })
	defer close(p.let)
	if err := await(t, send(s, f, sessionstore.SetInbox{Name: "x"})); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Fatalf("%v, want ErrUnavailable", err)
	}
}

func TestTakeoverDuringAnOutage(t *testing.T) {
	p, s, direct := behindProxy(t, Options{})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	p.set(func() { p.refuse = true })
	p.dropAll()
	done := send(s, f, sessionstore.SetInbox{Name: "stale"})
	c, _ := mustClaim(t, direct, sessionstore.ClaimRequest{Node: "node-b", Expiry: 60})
	p.set(func() { p.refuse = false })
	if err := await(t, done); !errors.Is(err, sessionstore.ErrFenced) {
		t.Fatalf("%v, want ErrFenced", err)
	}
	if found := mustGet(t, direct); found.Inbox != "" || found.Epoch != c.Session.Epoch {
		t.Fatalf("%+v", found)
	}
}

func TestCloseAnswersWhatWaits(t *testing.T) {
	p, s, _ := behindProxy(t, Options{})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	p.set(func() { p.refuse = true })
	p.dropAll()
	var waiting []<-chan error
	for i := range 100 {
		waiting = append(waiting, send(s, f, sessionstore.SetInbox{Name: fmt.Sprint(i)}))
	}
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	for i, done := range waiting {
		select {
		case err := <-done:
			if !errors.Is(err, sessionstore.ErrUnavailable) {
				t.Fatalf("write %d: %v, want ErrUnavailable", i, err)
			}
		default:
			t.Fatalf("write %d was not answered when Close returned", i)
		}
	}
}

func TestWatchComesBack(t *testing.T) {
	p, s, direct := behindProxy(t, Options{})
	told, missed := make(chan uint64, 1000), make(chan struct{}, 1000)
	if err := s.Watch(t.Context(), "node-a", func(_ sessionstore.Key, epoch uint64) { told <- epoch }, func() { missed <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	if len(missed) > 0 {
		t.Error("notices were missed, it says, before there was an outage")
	}
	p.down(500 * time.Millisecond)
	select {
	case <-missed:
	case <-time.After(patience):
		t.Error("it does not say that notices of the outage were missed")
	}
	// Notices of the outage are lost; some time after it they come again.
	deadline := time.Now().Add(patience)
	for {
		mustClaim(t, direct, sessionstore.ClaimRequest{Node: "node-a", Expiry: 60})
		c, _ := mustClaim(t, direct, sessionstore.ClaimRequest{Node: "node-b", Expiry: 60})
		select {
		case epoch := <-told:
			if epoch > c.Session.Epoch {
				t.Fatalf("told epoch %d, the last is %d", epoch, c.Session.Epoch)
			}
			return
		case <-time.After(50 * time.Millisecond):
			if time.Now().After(deadline) {
				t.Fatal("no notice after the outage")
			}
		}
	}
}

func TestServerForgetsScripts(t *testing.T) {
	_, s, direct := behindProxy(t, Options{})
	_, f := mustClaim(t, s, sessionstore.ClaimRequest{Expiry: 60})
	if err := direct.client.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	finished, want := inOrder(t, s, f, 200)
	checkInOrder(t, direct, finished, want)
}
