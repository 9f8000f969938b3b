package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/netip"
	"strings"
)

// The PROXY protocol, versions 1 and 2, as a load balancer speaks it: www.haproxy.org/download/3.2/doc/proxy-protocol.txt. The numbers of sections
// below are that document's.

// ErrProxyHeader: what came is no header of the PROXY protocol, or one that its rules forbid.
var ErrProxyHeader = errors.New("transport: no PROXY header")

func badHeader(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProxyHeader, fmt.Sprintf(format, args...))
}

const (
	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
	// shortest1 is the shortest header of version 1, "PROXY UNKNOWN\r\n". It is more than the signature of version 2, so that reading as much of
	// either takes no byte that belongs to the device.
	shortest1 = 15
	// longest1 is the longest (2.1), the line's end included.
	longest1 = 107
	fixed2   = 16
)

// readProxyHeader reads one header and not a byte more. An address that is not valid means that the connection is the proxy's own, or that it
// does not say whose: then the connection's own address counts.
func readProxyHeader(r io.Reader) (netip.AddrPort, error) {
	head := make([]byte, shortest1, longest1)
	if n, err := io.ReadFull(r, head); err != nil {
		if n > 0 && !begins(head[:n]) {
			err = badHeader("the connection begins otherwise, and has ended")
		}
		return netip.AddrPort{}, err
	}
	source, err := netip.AddrPort{}, badHeader("the connection begins otherwise")
	switch {
	case bytes.HasPrefix(head, []byte(signature1)):
		source, err = readHeader1(r, head)
	case bytes.HasPrefix(head, []byte(signature2)):
		source, err = readHeader2(r, head)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // only a connection without a byte ends well
	}
	return source, err
}

// begins: what has come may be the beginning of a header.
func begins(b []byte) bool {
	return strings.HasPrefix(signature1, string(b[:min(len(b), len(signature1))])) || strings.HasPrefix(signature2, string(b[:min(len(b), len(signature2))]))
}

// readHeader1 reads the rest of a line byte by byte: it has no length, and what comes behind it is not ours to take.
func readHeader1(r io.Reader, line []byte) (netip.AddrPort, error) {
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == longest1 {
			return netip.AddrPort{}, badHeader("the line has more than %d bytes", longest1)
		}
		line = line[:len(line)+1]
		if _, err := io.ReadFull(r, line[len(line)-1:]); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return parseHeader1(string(line[len(signature1) : len(line)-2]))
}

// parseHeader1 reads what is behind "PROXY " (2.1).
func parseHeader1(s string) (netip.AddrPort, error) {
	if s == "UNKNOWN" || strings.HasPrefix(s, "UNKNOWN ") {
		return netip.AddrPort{}, nil
	}
	part := strings.Split(s, " ")
	if len(part) != 5 || part[0] != "TCP4" && part[0] != "TCP6" {
		return netip.AddrPort{}, badHeader("%q is not TCP4 or TCP6, two addresses and two ports", s)
	}
	source, err := addressOf(part[1], part[3], part[0] == "TCP4")
	if err != nil {
		return netip.AddrPort{}, err
	}
	if _, err := addressOf(part[2], part[4], part[0] == "TCP4"); err != nil {
		return netip.AddrPort{}, err
	}
	return source, nil
}

func addressOf(ip, port string, v4 bool) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(net.JoinHostPort(ip, port))
	if err != nil || a.Addr().Is4() != v4 || a.Addr().Zone() != "" {
		return netip.AddrPort{}, badHeader("%q, port %q, is no address of the family that is named", ip, port)
	}
	return a, nil
}

// readHeader2 reads a binary header (2.2), which tells its length.
func readHeader2(r io.Reader, head []byte) (netip.AddrPort, error) {
	head = head[:fixed2]
	if _, err := io.ReadFull(r, head[shortest1:]); err != nil {
		return netip.AddrPort{}, err
	}
	length := int(binary.BigEndian.Uint16(head[14:]))
	if fixed2+length > proxyHeaderMax {
		return netip.AddrPort{}, badHeader("it announces %d bytes, more than %d", fixed2+length, proxyHeaderMax)
	}
	whole := append(make([]byte, 0, fixed2+length), head...)[:fixed2+length]
	if _, err := io.ReadFull(r, whole[fixed2:]); err != nil {
		return netip.AddrPort{}, err
	}
	return parseHeader2(whole)
}

func parseHeader2(b []byte) (netip.AddrPort, error) {
	version, command, family := b[12]>>4, b[12]&0x0F, b[13]
	if version != 2 {
		return netip.AddrPort{}, badHeader("version %d is not known", version)
	}
	body := b[fixed2:]
	switch command {
	case 0: // LOCAL: the proxy's own connection, to see whether we live; whatever else it says is to be ignored
		return netip.AddrPort{}, nil
	case 1: // PROXY
	default:
		return netip.AddrPort{}, badHeader("command %d is not known", command)
	}
	var source netip.AddrPort
	var size int
	switch family {
	case 0x11: // TCP over IPv4
		if size = 12; len(body) >= size {
			source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body)), binary.BigEndian.Uint16(body[8:]))
		}
	case 0x21: // TCP over IPv6
		if size = 36; len(body) >= size {
			source = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body)), binary.BigEndian.Uint16(body[32:]))
		}
	case 0x31: // a stream over a Unix socket, which has no address for us
		size = 216
	case 0x00: // not said
		return netip.AddrPort{}, nil
	default:
		return netip.AddrPort{}, badHeader("address family and protocol 0x%02x are not known for TCP", family)
	}
	if len(body) < size {
		return netip.AddrPort{}, badHeader("%d bytes are too few for addresses of family 0x%02x", len(body), family)
	}
	if err := checkTLVs(b, fixed2+size); err != nil {
		return netip.AddrPort{}, err
	}
	return source, nil
}

// typeCRC is the TLV with a CRC-32C of the whole header, in which it counts as zeros itself (2.2.3).
const typeCRC = 0x03

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkTLVs checks that what follows the addresses, from at on, is well-formed. Nothing in it is used.
func checkTLVs(header []byte, at int) error {
	for at < len(header) {
		if len(header)-at < 3 {
			return badHeader("%d bytes at its end are no TLV", len(header)-at)
		}
		value := at + 3
		end := value + int(binary.BigEndian.Uint16(header[at+1:]))
		if end > len(header) {
			return badHeader("a TLV of type 0x%02x goes beyond its end", header[at])
		}
		if header[at] == typeCRC {
			if end-value != 4 {
				return badHeader("its checksum has %d bytes", end-value)
			}
			want := binary.BigEndian.Uint32(header[value:])
			clear(header[value:end])
			if crc32.Checksum(header, castagnoli) != want {
				return badHeader("its checksum is wrong")
			}
			binary.BigEndian.PutUint32(header[value:], want)
		}
		at = end
	}
	return nil
}
