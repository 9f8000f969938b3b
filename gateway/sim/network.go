package sim

import "time"

// route is a way between two places of the network that can be blocked, as by a partition, or slow. What was sent over it waits.
type route struct {
	w       *world
	blocked bool
	slow    time.Duration // added to each delay, up to this much
	pipes   []*pipe
}

func (r *route) block() { r.blocked = true }

func (r *route) unblock() {
	r.blocked = false
	pipes := r.pipes
	for _, p := range pipes {
		p.pump()
	}
}

// pipe is one direction of a connection over a route: what is sent arrives in order, after a random delay, until the connection breaks; what is under
// way then is lost.
type pipe struct {
	r      *route
	broken bool
	last   time.Time // arrival of the latest item
	items  []pipeItem
	pumpAt *event
}

type pipeItem struct {
	at time.Time
	do func()
}

func (r *route) newPipe() *pipe {
	p := &pipe{r: r}
	r.pipes = append(r.pipes, p)
	return p
}

// send has do happen at the other end.
func (p *pipe) send(do func()) {
	if p.broken {
		return
	}
	w := p.r.w
	delay := w.between(50*time.Microsecond, 2*time.Millisecond)
	if p.r.slow > 0 {
		delay += w.between(0, p.r.slow)
	}
	at := w.now.Add(delay)
	if at.Before(p.last) {
		at = p.last
	}
	p.last = at
	p.items = append(p.items, pipeItem{at, do})
	if len(p.items) == 1 {
		p.plan()
	}
}

func (p *pipe) plan() {
	p.pumpAt.cancel()
	p.pumpAt = p.r.w.after(p.items[0].at.Sub(p.r.w.now), p.pump)
}

func (p *pipe) pump() {
	w := p.r.w
	for !p.broken && !p.r.blocked && len(p.items) > 0 && w.stopped == nil {
		if p.items[0].at.After(w.now) {
			p.plan()
			return
		}
		do := p.items[0].do
		p.items = p.items[1:]
		do()
	}
}

func (p *pipe) sever() {
	if p.broken {
		return
	}
	p.broken = true
	p.items = nil
	p.pumpAt.cancel()
	for i, other := range p.r.pipes {
		if other == p {
			// A new list: unblock may be walking the old one.
			p.r.pipes = append(append([]*pipe(nil), p.r.pipes[:i]...), p.r.pipes[i+1:]...)
			return
		}
	}
}
