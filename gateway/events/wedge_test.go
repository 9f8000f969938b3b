package events

import (
	"fmt"
	"testing"
	"time"
)

// tally is an account as the gateway counts it.
type tally struct {
	w                 Wedges
	now               time.Time
	accepted, refused uint64
}

var someone = Account{Tenant: "t", Principal: "p"}

func (s *tally) refuse() (Event, bool) {
	s.refused++
	return s.w.Refused(s.now, someone, s.accepted, s.refused)
}

func (s *tally) wait(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		s.now = s.now.Add(5 * time.Second)
		s.w.Look(s.now, func(Account) (uint64, uint64, bool) { return s.accepted, s.refused, true })
	}
}

func TestMostMessagesRefusedRaisesOneAlarmWithinAMinute(t *testing.T) {
	s := &tally{now: start, accepted: 10}
	alarms, first := 0, time.Time{}
	for range 60 { // a device that tries again every five seconds
		s.wait(5 * time.Second)
		if e, raised := s.refuse(); raised {
			alarms++
			if e.Cause != CauseMostRefused || e.Refused < wedgeRefusals || e.Principal != "p" {
				t.Errorf("alarm %+v", e)
			}
			first = s.now
		}
	}
	if alarms != 1 || first.Sub(start) > time.Minute {
		t.Errorf("%d alarms, the first after %v", alarms, first.Sub(start))
	}
	if s.w.Wedged() != 1 {
		t.Error("the alarm is over although nothing has changed")
	}
	s.accepted += 1000
	s.wait(wedgeTime + 5*time.Second)
	if s.w.Wedged() != 0 {
		t.Error("the alarm is not over")
	}
	for range wedgeRefusals + 1 {
		if _, raised := s.refuse(); raised {
			alarms++
		}
	}
	if alarms != 2 {
		t.Errorf("%d alarms after the second time", alarms)
	}
}

func TestFewRefusalsAmongManyRaiseNothing(t *testing.T) {
	s := &tally{now: start, accepted: 10}
	for range 100 {
		s.accepted += 9
		if _, raised := s.refuse(); raised {
			t.Fatal("one in ten is an alarm")
		}
		s.wait(5 * time.Second)
	}
}

func TestTheFirstRefusalAfterLongSuccessIsNews(t *testing.T) {
	for _, c := range []struct {
		accepted uint64
		raised   bool
	}{{longSuccess, true}, {longSuccess - 1, false}} {
		s := &tally{now: start, accepted: c.accepted}
		e, raised := s.refuse()
		if raised != c.raised || raised && (e.Cause != CauseFirstRefused || e.Accepted != c.accepted) {
			t.Errorf("after %d: %v %+v", c.accepted, raised, e)
		}
		if _, raised := s.refuse(); raised {
			t.Error("the second refusal is news as well")
		}
	}
}

func TestWatchingIsBoundedAndEnds(t *testing.T) {
	var w Wedges
	for i := range accountsMax + 100 {
		w.Refused(start, Account{Client: fmt.Sprint(i)}, 0, 1)
	}
	if len(w.watched) != accountsMax {
		t.Errorf("%d accounts are watched", len(w.watched))
	}
	w.Look(start.Add(watchTime), func(Account) (uint64, uint64, bool) { return 0, 1, true })
	if len(w.watched) != 0 {
		t.Errorf("%d accounts are watched for ever", len(w.watched))
	}
}
