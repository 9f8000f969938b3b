package load

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Loopback gives device i an address of 127.0.0.0/8 to connect from, other than 127.0.0.1. An address has about 28,000 ports for connections to the same
// server, those that have just been closed among them: sourceDevices share one.
func Loopback(i int) net.IP { return net.IPv4(127, 0, 0, byte(2+i/sourceDevices)) }

// shareSourcePorts lets connections to different servers use the same port of the same address: without it, an address given with bind(2) has each port
// once.
func shareSourcePorts(_, _ string, c syscall.RawConn) error {
	var fault error
	if err := c.Control(func(fd uintptr) {
		fault = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}); err != nil {
		return err
	}
	return fault
}
