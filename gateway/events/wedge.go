package events

import "time"

// The causes of an alarm.
const (
	CauseMostRefused  = "most of its messages are refused"
	CauseFirstRefused = "refused for the first time after long success"
)

// Wedges finds accounts whose rules, permissions or targets are broken: at least half of their messages are refused, or one is refused after more
// than a thousand that were not. It watches only accounts that have had a refusal. The zero Wedges is ready.
type Wedges struct {
	watched map[Account]*watch
}

// watch is an account that had a refusal lately. The counts are running totals.
type watch struct {
	begin             time.Time // of the time looked at
	accepted, refused uint64    // totals at begin
	latest            uint64    // total of refusals when last looked at
	refusedAt         time.Time // the latest that was seen
	raised            bool      // CauseMostRefused: until fewer are refused
}

// Refused takes the totals of an account, the refusal that has just come among them. It gives an alarm at most once for a cause, until that is over.
func (w *Wedges) Refused(now time.Time, a Account, accepted, refused uint64) (alarm Event, raised bool) {
	s := w.watched[a]
	if s == nil {
		if w.watched == nil {
			w.watched = map[Account]*watch{}
		}
		if len(w.watched) >= accountsMax {
			return Event{}, false
		}
		s = &watch{begin: now, refused: refused - 1}
		s.accepted = accepted // what was accepted before says nothing about now
		w.watched[a] = s
		if refused == 1 && accepted >= longSuccess {
			s.latest, s.refusedAt = refused, now
			return wedged(now, a, CauseFirstRefused, accepted, refused), true
		}
	}
	s.latest, s.refusedAt = refused, now
	if s.raised || refused-s.refused < wedgeRefusals || refused-s.refused < accepted-s.accepted {
		return Event{}, false
	}
	s.raised = true
	return wedged(now, a, CauseMostRefused, accepted-s.accepted, refused-s.refused), true
}

// Look begins a new time to look at for the accounts whose last one is over, and forgets those that had no refusal for long. totals gives the totals of
// an account; ok is false for one that is gone. It is to be called every few seconds.
func (w *Wedges) Look(now time.Time, totals func(Account) (accepted, refused uint64, ok bool)) {
	for a, s := range w.watched {
		accepted, refused, ok := totals(a)
		if !ok || now.Sub(s.refusedAt) >= watchTime {
			delete(w.watched, a)
			continue
		}
		if now.Sub(s.begin) < wedgeTime {
			continue
		}
		if refused-s.refused < accepted-s.accepted {
			s.raised = false // most are accepted again
		}
		s.begin, s.accepted, s.refused = now, accepted, refused
	}
}

// Watches reports whether the account had a refusal lately.
func (w *Wedges) Watches(a Account) bool { return w.watched[a] != nil }

// Wedged is the number of accounts whose alarm is not over.
func (w *Wedges) Wedged() (n int) {
	for _, s := range w.watched {
		if s.raised {
			n++
		}
	}
	return n
}

func wedged(now time.Time, a Account, cause string, accepted, refused uint64) Event {
	return Event{
		Type: PrincipalWedged, Time: now, Account: a, Tenant: a.Tenant, Principal: a.Principal, Client: a.Client,
		Cause: cause, Accepted: accepted, Refused: refused,
	}
}
