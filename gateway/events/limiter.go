package events

import (
	"slices"
	"time"
)

// Limiter bounds the events that an account, and all together, may cause. It counts in windows, each of which begins with its first event. The zero
// Limiter is ready.
type Limiter struct {
	accounts map[Account]*window
	order    []*window // by their begin, as they end
	node     struct {
		begin time.Time
		count int
	}
}

type window struct {
	account    Account
	begin      time.Time
	count      int
	suppressed map[Type]uint64
	total      uint64
}

// Allow reports whether an event may be told now. If not, it is counted and will be among what Remainders gives.
func (l *Limiter) Allow(now time.Time, e *Event) bool {
	w := l.window(now, e.Account)
	if now.Sub(l.node.begin) >= windowTime {
		l.node.begin, l.node.count = now, 0
	}
	if w.count >= accountEvents || l.node.count >= nodeEvents {
		w.suppress(e.Type)
		return false
	}
	w.count++
	l.node.count++
	return true
}

// Suppress counts an event that was allowed and could not be kept all the same.
func (l *Limiter) Suppress(now time.Time, e *Event) { l.window(now, e.Account).suppress(e.Type) }

func (w *window) suppress(t Type) {
	if w.suppressed == nil {
		w.suppressed = map[Type]uint64{}
	}
	w.suppressed[t]++
	w.total++
}

// window gives the account's. Where there are too many accounts, they share that of nobody.
func (l *Limiter) window(now time.Time, a Account) *window {
	if l.accounts == nil {
		l.accounts = map[Account]*window{}
	}
	w := l.accounts[a]
	if w == nil && len(l.accounts) >= accountsMax {
		a = Account{}
		w = l.accounts[a]
	}
	if w == nil {
		w = &window{account: a, begin: now}
		l.accounts[a] = w
		l.order = append(l.order, w)
	}
	return w
}

// Remainders closes the windows that have ended, and gives an event for each that has held something back.
func (l *Limiter) Remainders(now time.Time) (told []Event) {
	ended := 0
	for _, w := range l.order {
		if now.Sub(w.begin) < windowTime {
			break
		}
		ended++
		delete(l.accounts, w.account)
		if w.total > 0 {
			told = append(told, w.remainder(now))
		}
	}
	l.order = slices.Delete(l.order, 0, ended)
	return told
}

// All closes every window, as Remainders does: the node stops.
func (l *Limiter) All(now time.Time) []Event { return l.Remainders(now.Add(windowTime)) }

func (w *window) remainder(now time.Time) Event {
	return Event{
		Type: Suppressed, Time: now, Account: w.account,
		Tenant: w.account.Tenant, Principal: w.account.Principal, Client: w.account.Client,
		Message: "More happened than is told one by one.", Count: w.total, Suppression: w.suppressed,
	}
}
