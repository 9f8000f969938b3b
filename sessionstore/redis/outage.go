package redis

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// outage knows which lanes cannot reach the store, so that an outage is two lines in the log: it began, it is over.
// A lane learns of the end by its next step; Ready sends one through each.
type outage struct {
	log *zap.Logger

	mu      sync.Mutex
	failing [lanes]bool
	cause   error // of the last failure; nil while no lane fails
	since   time.Time
}

func (o *outage) begin(lane int, cause error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cause == nil {
		o.since = time.Now()
		o.log.Warn("session store unavailable: steps wait and are repeated", zap.Error(cause))
	}
	o.failing[lane], o.cause = true, cause
}

func (o *outage) over(lane int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cause == nil {
		return
	}
	o.failing[lane] = false
	for _, failing := range o.failing {
		if failing {
			return
		}
	}
	o.cause = nil
	o.log.Info("session store available again", zap.Duration("after", time.Since(o.since)))
}

// now is the cause of the outage there is, nil when there is none.
func (o *outage) now() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cause
}

// because adds the cause of the outage, if there is one, to what a caller is told.
func (o *outage) because(err error) error {
	if cause := o.now(); cause != nil {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
