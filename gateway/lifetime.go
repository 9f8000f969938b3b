package gateway

import (
	"context"
	"sync"
)

// lifetime makes contexts that end with a device. There is one only while somebody needs it: with its place in its parent it takes half a KiB, and
// most devices are idle most of the time.
type lifetime struct {
	mu     sync.Mutex
	over   bool
	users  int
	ctx    context.Context // nil without users
	cancel context.CancelFunc
}

// enter gives a context that ends with parent, which is the same for all calls, or with the lifetime. leave is to be called once, when it is not needed any more.
func (l *lifetime) enter(parent context.Context) (ctx context.Context, leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users == 0 {
		l.ctx, l.cancel = context.WithCancel(parent)
		if l.over {
			l.cancel()
		}
	}
	l.users++
	return l.ctx, l.leave
}

func (l *lifetime) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users == 0 {
		l.cancel()
		l.ctx, l.cancel = nil, nil
	}
}

func (l *lifetime) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.cancel != nil {
		l.cancel()
	}
}

func (l *lifetime) ended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over
}
