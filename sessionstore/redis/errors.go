package redis

import (
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"sluice/sessionstore"
)

var errClosed = errors.New("the store is closed")

// unavailable wraps the last cause, for the operator's log.
func unavailable(cause error) error {
	return fmt.Errorf("%w: redis: %w", sessionstore.ErrUnavailable, cause)
}

// verdict is what the answer to a call asks of us.
type verdict int

const (
	answered verdict = iota
	again            // nothing ran or nobody knows: repeat it
	unknown          // the server lacks the script: send its text
	short            // done, but too few replicas confirm it
	full             // the server has no memory left
	refused          // repeating does not help
)

// judge sorts an error of go-redis. What is no reply of the server is a matter of the connection; of the replies, those that pass by
// themselves (starting, failing over, moving slots, credentials being rotated) are repeated.
func judge(err error) verdict {
	var reply goredis.Error
	switch {
	case err == nil:
		return answered
	case errors.Is(err, sessionstore.ErrNotReplicated):
		return short
	case goredis.HasErrorPrefix(err, "NOSCRIPT"):
		return unknown
	case goredis.IsOOMError(err):
		return full
	case !errors.As(err, &reply),
		goredis.IsLoadingError(err), goredis.IsReadOnlyError(err), goredis.IsMasterDownError(err), goredis.IsNoReplicasError(err),
		goredis.IsClusterDownError(err), goredis.IsTryAgainError(err), goredis.IsMaxClientsError(err), goredis.IsAuthError(err):
		return again
	}
	if _, ok := goredis.IsMovedError(err); ok {
		return again
	}
	if _, ok := goredis.IsAskError(err); ok {
		return again
	}
	// A script of somebody else runs too long; the server cannot save and refuses writes until it can.
	// LATE is our own: a Cluster that is moving slots let a younger step of the lane pass; a new attempt has a new number.
	if goredis.HasErrorPrefix(err, "LATE ") || goredis.HasErrorPrefix(err, "BUSY ") || goredis.HasErrorPrefix(err, "MISCONF") {
		return again
	}
	return refused
}
