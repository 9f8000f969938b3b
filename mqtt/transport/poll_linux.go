package transport

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// poll tells which connections have something to be read: an epoll of our own. The Go runtime waits for it as for any descriptor, so it takes no thread.
type poll struct {
	file *os.File
	raw  syscall.RawConn
	fd   int
}

func newPoll() (*poll, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	err = syscall.SetNonblock(fd, true) // without it os.NewFile does not hand it to the runtime
	file := os.NewFile(uintptr(fd), "epoll")
	raw, rawErr := file.SyscallConn()
	if err = errors.Join(err, rawErr); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &poll{file: file, raw: raw, fd: fd}, nil
}

// watch has number told once, as soon as there is something to be read of conn, its end included. What was asked for of it before is forgotten. It must not be
// called any more when the poll is closed.
func (p *poll) watch(conn *net.TCPConn, number uint64) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	// With ONESHOT a connection that was told is left alone until the next time.
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: int32(number), Pad: int32(number >> 32)}
	var refused error
	err = raw.Control(func(fd uintptr) { // it is not closed meanwhile, so the descriptor is no other connection's
		refused = syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_MOD, int(fd), &event)
		if errors.Is(refused, syscall.ENOENT) {
			refused = syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, int(fd), &event)
		}
	})
	return errors.Join(err, refused)
}

// each gives the numbers to be told as they come, until the poll is closed.
func (p *poll) each(yield func(number uint64) bool) {
	events := make([]syscall.EpollEvent, pollBatch)
	n, failed := 0, error(nil)
	look := func(uintptr) (done bool) {
		n, failed = syscall.EpollWait(p.fd, events, 0)
		return n > 0 || failed != nil
	}
	for {
		err := p.raw.Read(look)
		if err != nil || failed != nil && !errors.Is(failed, syscall.EINTR) {
			return
		}
		for _, e := range events[:max(n, 0)] {
			if !yield(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32) {
				return
			}
		}
	}
}

func (p *poll) close() { _ = p.file.Close() }
