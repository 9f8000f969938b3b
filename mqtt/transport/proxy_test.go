package transport

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// header2 makes a header of version 2. A TLV of type 3 gets its checksum.
func header2(versionCommand, family byte, body ...byte) string {
	b := append([]byte(signature2), versionCommand, family, 0, 0)
	binary.BigEndian.PutUint16(b[14:], uint16(len(body)))
	return string(append(b, body...))
}

func bytesOf(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// summed adds a TLV with the checksum, made as 2.2.3 says, to a header.
func summed(header string, wrong uint32) string {
	b := []byte(header)
	b = append(b, typeCRC, 0, 4, 0, 0, 0, 0)
	binary.BigEndian.PutUint16(b[14:], uint16(len(b)-fixed2))
	binary.BigEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))+wrong)
	return string(b)
}

var (
	v4addresses = bytesOf("c0000201 c6336402 1234 075b")                                                           // 192.0.2.1:4660 to 198.51.100.2:1883
	v6addresses = bytesOf("20010db8000000000000000000000001 20010db8000000000000000000000002 1234 075b")           // 2001:db8::1
	mapped      = bytesOf("00000000000000000000ffffc0000201 00000000000000000000ffffc6336402 1234 075b")           // ::ffff:192.0.2.1
	tlvs        = bytesOf("01 0004 6d717474 02 0009 6c6f63616c686f7374 20 0008 01 00000000 210000 04 0003 000000") // ALPN, authority, TLS, padding
)

func TestProxyHeaders(t *testing.T) {
	tooLong := "PROXY TCP6 " + strings.Repeat("f", longest1) + "\r\n"
	for _, c := range []struct {
		name, header string
		want         string // the device's address, "" for the connection's own; of the error when it begins with !
	}{
		{"1, IPv4", "PROXY TCP4 192.0.2.1 198.51.100.2 4660 1883\r\n", "192.0.2.1:4660"},
		{"1, IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 4660 1883\r\n", "[2001:db8::1]:4660"},
		{"1, the longest there is", "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", ""},
		{"1, unknown", "PROXY UNKNOWN\r\n", ""},
		{"1, too long", tooLong, "!more than 107 bytes"},
		{"1, no family", "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", "!is not TCP4 or TCP6"},
		{"1, a part too few", "PROXY TCP4 192.0.2.1 198.51.100.2 4660\r\n", "!is not TCP4 or TCP6"},
		{"1, two spaces", "PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n", "!is not TCP4 or TCP6"},
		{"1, the other family", "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "!no address of the family"},
		{"1, a name", "PROXY TCP4 localhost 198.51.100.2 1 2\r\n", "!no address"},
		{"1, a bad target", "PROXY TCP4 192.0.2.1 198.51.100 1 2\r\n", "!no address"},
		{"1, a bad port", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n", "!no address"},
		{"1, no port", "PROXY TCP4 192.0.2.1 198.51.100.2  2\r\n", "!no address"},
		{"1, a zone", "PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n", "!no address"},
		{"1, a line feed alone", "PROXY TCP4 192.0.2.1 198.51.100.2 4660 1883\n" + strings.Repeat(" ", 100), "!more than 107 bytes"},
		{"2, IPv4", header2(0x21, 0x11, v4addresses...), "192.0.2.1:4660"},
		{"2, IPv6", header2(0x21, 0x21, v6addresses...), "[2001:db8::1]:4660"},
		{"2, IPv4 in IPv6", header2(0x21, 0x21, mapped...), "192.0.2.1:4660"},
		{"2, with TLVs", header2(0x21, 0x11, append(v4addresses[:12:12], tlvs...)...), "192.0.2.1:4660"},
		{"2, with a checksum", summed(header2(0x21, 0x11, v4addresses...), 0), "192.0.2.1:4660"},
		{"2, with a wrong checksum", summed(header2(0x21, 0x11, v4addresses...), 1), "!checksum is wrong"},
		{"2, with half a checksum", header2(0x21, 0x11, append(v4addresses[:12:12], 3, 0, 2, 0, 0)...), "!checksum has 2 bytes"},
		{"2, local", header2(0x20, 0x00), ""},
		{"2, local, with addresses", header2(0x20, 0x11, v4addresses...), ""},
		{"2, of no family", header2(0x21, 0x00, tlvs...), ""},
		{"2, Unix", header2(0x21, 0x31, make([]byte, 216)...), ""},
		{"2, UDP", header2(0x21, 0x12, v4addresses...), "!0x12"},
		{"2, of another version", header2(0x31, 0x11, v4addresses...), "!version 3"},
		{"2, another command", header2(0x22, 0x11, v4addresses...), "!command 2"},
		{"2, too short", header2(0x21, 0x21, v4addresses...), "!too few"},
		{"2, a TLV cut off", header2(0x21, 0x11, append(v4addresses[:12:12], 1, 0, 9, 0)...), "!beyond its end"},
		{"2, two bytes left over", header2(0x21, 0x11, append(v4addresses[:12:12], 1, 0)...), "!are no TLV"},
		{"2, too long", header2(0x21, 0x11, make([]byte, proxyHeaderMax)...), "!more than 4096"},
		{"2, as long as may be", header2(0x20, 0x11, make([]byte, proxyHeaderMax-fixed2)...), ""},
		{"MQTT", "\x10\x0f\x00\x04MQTT\x05\x02\x00\x0a\x00\x00\x02ab", "!begins otherwise"},
		{"half of MQTT", "\x10\x0f\x00\x04", "!begins otherwise, and has ended"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00", "!begins otherwise"},
	} {
		t.Run(c.name, func(t *testing.T) {
			const behind = "what the device says"
			said := strings.NewReader(c.header)
			if !strings.HasPrefix(c.want, "!") {
				said = strings.NewReader(c.header + behind)
			}
			conn := &through{recorded: recorded{said: said}, from: "127.0.0.1:9"}
			got, err := Proxies{netip.MustParsePrefix("127.0.0.0/8")}.Unwrap(conn, time.Second)
			if say, bad := strings.CutPrefix(c.want, "!"); bad {
				if !errors.Is(err, ErrProxyHeader) || !strings.Contains(err.Error(), say) {
					t.Errorf("got %v, want ErrProxyHeader with %q", err, say)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if want == "" {
				want = conn.from
			}
			if got.RemoteAddr().String() != want {
				t.Errorf("the device is at %s, want %s", got.RemoteAddr(), want)
			}
			if rest, _ := io.ReadAll(got); string(rest) != behind {
				t.Errorf("behind it is %q", rest)
			}
		})
	}
}

// through is a recorded connection with an address.
type through struct {
	recorded
	from string
}

func (c *through) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.from))
}

// TestAHeaderCutOff: wherever it breaks off, that is the end of a connection, and not a header that is wrong.
func TestAHeaderCutOff(t *testing.T) {
	for _, header := range []string{"PROXY TCP4 192.0.2.1 198.51.100.2 4660 1883\r\n", summed(header2(0x21, 0x11, v4addresses...), 0)} {
		for n := range len(header) {
			want := io.ErrUnexpectedEOF
			if n == 0 {
				want = io.EOF // somebody looks whether the port is open
			}
			if _, err := readProxyHeader(strings.NewReader(header[:n])); err != want {
				t.Errorf("%q: %v, want %v", header[:n], err, want)
			}
		}
	}
}

// TestOnlyProxiesSayWhereADeviceIs: from anywhere else a header is what it is.
func TestOnlyProxiesSayWhereADeviceIs(t *testing.T) {
	const header = "PROXY TCP4 192.0.2.1 198.51.100.2 4660 1883\r\n"
	proxies := Proxies{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::7/128")}
	for from, trusted := range map[string]bool{
		"10.1.2.3:1": true, "[::ffff:10.1.2.3]:1": true, "[fd00::7]:1": true, "10.2.0.1:1": false, "[fd00::8]:1": false, "127.0.0.1:1": false,
	} {
		conn := &through{recorded: recorded{said: strings.NewReader(header)}, from: from}
		got, err := proxies.Unwrap(conn, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(got)
		if changed := got.RemoteAddr().String() == "192.0.2.1:4660"; changed != trusted || (string(rest) == header) == trusted {
			t.Errorf("%s: taken for %s, and %q is left", from, got.RemoteAddr(), rest)
		}
	}
	conn := &through{recorded: recorded{said: strings.NewReader(header)}, from: "127.0.0.1:1"}
	if got, err := (Proxies)(nil).Unwrap(conn, time.Second); got != net.Conn(conn) || err != nil {
		t.Error("without proxies a connection is what it is")
	}
}

// TestAHeaderThatNeverComes holds a connection no longer than any other handshake.
func TestAHeaderThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, proxy := net.Pipe()
		defer proxy.Close()
		defer ours.Close()
		begin := time.Now()
		ended := make(chan struct{})
		go func() { // a byte a second is not enough either
			defer close(ended)
			for _, b := range []byte("PROXY TCP4 192.0.2.1") {
				if _, err := proxy.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second) // the bubble's clock
			}
		}()
		_, err := Proxies{netip.MustParsePrefix("0.0.0.0/0")}.Unwrap(&from{ours}, 5*time.Second)
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		_ = ours.Close()
		<-ended
	})
}

// from is a connection over a pipe that says it has an address.
type from struct{ net.Conn }

func (from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:1"))
}

// TestAProxiedConnectionClosesByHalves, as others do: our last words are not lost in a reset.
func TestAProxiedConnectionClosesByHalves(t *testing.T) {
	l, err := Listen("127.0.0.1:0", "k")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	device, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	raw, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := device.Write([]byte(header2(0x21, 0x11, v4addresses...))); err != nil {
		t.Fatal(err)
	}
	conn, err := Proxies{netip.MustParsePrefix("127.0.0.1/32")}.Unwrap(raw, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := device.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the device reads %v, want EOF", err)
	}
	if _, err := device.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("the other half gives %d, %v", n, err)
	}
}

// FuzzProxyHeader: whatever comes, there is an address, a refusal or the end, and no byte behind the header is taken.
func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.2 4660 1883\r\nrest"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(header2(0x21, 0x11, append(v4addresses[:12:12], tlvs...)...) + "rest"))
	f.Add([]byte(summed(header2(0x21, 0x21, v6addresses...), 0)))
	f.Add([]byte(header2(0x20, 0x00)))
	f.Fuzz(func(t *testing.T, said []byte) {
		r := bytes.NewReader(said)
		source, err := readProxyHeader(r)
		taken := said[:len(said)-r.Len()]
		if err != nil {
			if source.IsValid() || !errors.Is(err, ErrProxyHeader) && r.Len() > 0 {
				t.Errorf("%v with %v and %d bytes left", source, err, r.Len())
			}
			return
		}
		switch {
		case bytes.HasPrefix(taken, []byte(signature1)):
			if !bytes.HasSuffix(taken, []byte("\r\n")) || bytes.Count(taken, []byte("\r\n")) != 1 || len(taken) > longest1 {
				t.Errorf("a line %q", taken)
			}
		case bytes.HasPrefix(taken, []byte(signature2)):
			if want := fixed2 + int(binary.BigEndian.Uint16(taken[14:])); len(taken) != want || want > proxyHeaderMax {
				t.Errorf("%d bytes taken of a header of %d", len(taken), want)
			}
		default:
			t.Errorf("%q is a header", taken)
		}
		// What was accepted once is accepted again, with the same result.
		if again, err := readProxyHeader(bytes.NewReader(taken)); err != nil || again != source {
			t.Errorf("again: %v, %v", again, err)
		}
	})
}
