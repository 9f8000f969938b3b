//go:build !linux

package transport

import (
	"errors"
	"net"
)

// poll is for Linux only.
type poll struct{}

func newPoll() (*poll, error) { return nil, errors.ErrUnsupported }

func (*poll) watch(*net.TCPConn, uint64) error { return errors.ErrUnsupported }

func (*poll) each(func(uint64) bool) {}

func (*poll) close() {}
