package gateway

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"sluice/amqp"
	"sluice/sessionstore"
)

// What may succeed later is tried again, after pauses that grow to retryMax and differ from time to time; what cannot is not, and nothing beyond the time there is.
func TestRetryUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		final := errors.New("never")
		for _, c := range []struct {
			name     string
			answers  []error
			want     error
			attempts int
		}{
			{"at once", []error{nil}, nil, 1},
			{"bus and store come back", []error{amqp.ErrUnavailable, fmt.Errorf("%w: Redis", sessionstore.ErrUnavailable), nil}, nil, 3},
			{"for good", []error{amqp.ErrUnavailable, final}, final, 2},
		} {
			n := 0
			err := retryUntil(t.Context(), func(context.Context) error {
				n++
				return c.answers[n-1]
			})
			if !errors.Is(err, c.want) || n != c.attempts {
				t.Errorf("%s: %v after %d attempts, want %v after %d", c.name, err, n, c.want, c.attempts)
			}
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began, last := time.Now(), time.Now()
		pauses := map[time.Duration]bool{}
		err := retryUntil(ctx, func(context.Context) error {
			if pause := time.Since(last); pause > retryMax {
				t.Errorf("a pause of %v", pause)
			} else if time.Since(began) > 10*time.Second {
				if pause < retryMax/2 {
					t.Errorf("a pause of %v after %v", pause, time.Since(began))
				}
				pauses[pause] = true
			}
			last = time.Now()
			return amqp.ErrUnavailable
		})
		if !errors.Is(err, amqp.ErrUnavailable) || time.Since(began) != time.Minute {
			t.Errorf("%v after %v, want the last error after a minute", err, time.Since(began))
		}
		if len(pauses) < 10 {
			t.Errorf("%d different pauses", len(pauses))
		}
	})
}
