package servicebus

import (
	"strings"
	"time"
)

// Watch follows one connection: what it has tokens for, and what nobody uses. It is not safe for concurrent use.
type Watch struct {
	timing   Timing
	trusted  bool // SASL PLAIN: no tokens are needed
	links    map[any]*watched
	grants   map[string]time.Time // by path: until when a token holds
	tokenDue time.Time            // when the first token has to be there; zero: it is, or none is needed
	linkDue  time.Time            // when a link has to be there; zero while one is
}

type watched struct {
	path string // lower case
	hub  bool
	used time.Time
}

// Verdict is what has to end: a link, or with a nil Link the connection.
type Verdict struct {
	Link  any
	Fault *Fault
}

// Watch begins to follow a connection. trusted: it has shown a rule's key in SASL.
func (n *Namespace) Watch(now time.Time, trusted bool) *Watch {
	w := &Watch{timing: n.timing, trusted: trusted, links: map[any]*watched{}, grants: map[string]time.Time{}, linkDue: now.Add(n.timing.FirstLink)}
	if !trusted {
		w.tokenDue = now.Add(n.timing.TokenWait)
	}
	return w
}

func (w *Watch) grant(path string, expires time.Time) bool {
	if _, there := w.grants[path]; !there && len(w.grants) >= maxAudiences {
		return false
	}
	w.grants[path] = expires
	w.tokenDue = time.Time{}
	return true
}

// Attach takes a link in use, unless no token permits it. The link is any comparable value.
func (w *Watch) Attach(now time.Time, link any, node *Node) *Fault {
	path := strings.ToLower(node.Path)
	if !w.permits(now, path) {
		return fault(unauthorized, "Unauthorized access. 'Send' or 'Listen' claim(s) are required for %q: put a token to %s first", node.Path, CBS)
	}
	w.links[link] = &watched{path: path, hub: node.IsHub(), used: now}
	w.linkDue = time.Time{}
	return nil
}

// Used notes that a link carried something.
func (w *Watch) Used(now time.Time, link any) {
	if l := w.links[link]; l != nil {
		l.used = now
	}
}

// Detached forgets a link.
func (w *Watch) Detached(now time.Time, link any) {
	if w.links[link] == nil {
		return
	}
	if delete(w.links, link); len(w.links) == 0 {
		w.linkDue = now.Add(w.timing.ConnectionIdle)
	}
}

func (w *Watch) permits(now time.Time, path string) bool {
	return w.trusted || now.Before(w.permittedUntil(path))
}

// permittedUntil is when the last token that covers the path ends; zero when none does.
func (w *Watch) permittedUntil(path string) (until time.Time) {
	for granted, expires := range w.grants {
		if covers(granted, path) && expires.After(until) {
			until = expires
		}
	}
	return until
}

// Due gives what has to end now.
func (w *Watch) Due(now time.Time) (all []Verdict) {
	over := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	switch {
	case over(w.tokenDue):
		return []Verdict{{Fault: fault(connectionForced, "no token was put to %s within %v", CBS, w.timing.TokenWait)}}
	case over(w.linkDue):
		return []Verdict{{Fault: fault(connectionForced, "The connection had no link for too long and is closed by container 'LinkTracker'")}}
	}
	for link, l := range w.links {
		switch {
		case !w.permits(now, l.path):
			all = append(all, Verdict{link, fault(unauthorized, "ExpiredToken: the token for %q has expired", l.path)})
		case over(l.idleAt(w.timing)):
			all = append(all, Verdict{link, fault(detachForced, "The link is force detached: idle timeout %v", l.idle(w.timing))})
		}
	}
	return all
}

func (l *watched) idle(t Timing) time.Duration {
	if l.hub {
		return t.HubLinkIdle
	}
	return t.LinkIdle
}

func (l *watched) idleAt(t Timing) time.Time { return l.used.Add(l.idle(t)) }

// Deadline is when Due has to be asked next.
func (w *Watch) Deadline() time.Time {
	var due time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	sooner(w.tokenDue)
	sooner(w.linkDue)
	for _, l := range w.links {
		sooner(l.idleAt(w.timing))
		if !w.trusted {
			sooner(w.permittedUntil(l.path))
		}
	}
	return due
}
