package transport

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// socketPair is a TCP connection: our end, and the device's. Both are closed with the test.
func socketPair(t testing.TB, l net.Listener) (ours, device *net.TCPConn) {
	t.Helper()
	device = dial(t, l)
	return accept(t, l), device
}

func dial(t testing.TB, l net.Listener) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

func accept(t testing.TB, l net.Listener) *net.TCPConn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// newParking is one that is closed with the test.
func newParking(t *testing.T) *Parking {
	p := &Parking{}
	t.Cleanup(p.Close)
	return p
}

// park parks conn; what comes tells that it was resumed.
func park(t *testing.T, p *Parking, conn net.Conn, at *Place) (resumed chan struct{}) {
	t.Helper()
	resumed = make(chan struct{}, 2)
	if !p.Park(conn, at, func() { resumed <- struct{}{} }) {
		t.Fatal("not parked")
	}
	return resumed
}

const patience = time.Minute

func awaitResumed(t *testing.T, resumed <-chan struct{}) {
	t.Helper()
	select {
	case <-resumed:
	case <-time.After(patience):
		t.Fatal("not resumed")
	}
}

func say(t *testing.T, device net.Conn, words string) {
	t.Helper()
	if _, err := device.Write([]byte(words)); err != nil {
		t.Fatal(err)
	}
}

func TestParkedUntilThereIsSomethingToRead(t *testing.T) {
	p, l := newParking(t), listen(t)
	ours, device := socketPair(t, l)
	var at Place
	for _, words := range []string{"one", "two", "three"} {
		resumed := park(t, p, ours, &at)
		if n := p.Parked(); n != 1 {
			t.Fatalf("%d are parked", n)
		}
		say(t, device, words)
		awaitResumed(t, resumed)
		if n := p.Parked(); n != 0 {
			t.Fatalf("%d are parked", n)
		}
		got := make([]byte, len(words))
		if _, err := io.ReadFull(ours, got); err != nil || string(got) != words {
			t.Fatalf("%q, %v", got, err)
		}
	}
}

// What came before is not waited for.
func TestParkedWithSomethingToReadAlready(t *testing.T) {
	p, l := newParking(t), listen(t)
	ours, device := socketPair(t, l)
	say(t, device, "ab")
	if _, err := io.ReadFull(ours, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	var at Place
	awaitResumed(t, park(t, p, ours, &at))
}

func TestParkedUntilTheDeviceHangsUp(t *testing.T) {
	for name, hangUp := range map[string]func(*net.TCPConn) error{
		"close": (*net.TCPConn).Close, "half": (*net.TCPConn).CloseWrite,
		"reset": func(c *net.TCPConn) error {
			_ = c.SetLinger(0)
			return c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, l := newParking(t), listen(t)
			ours, device := socketPair(t, l)
			var at Place
			resumed := park(t, p, ours, &at)
			if err := hangUp(device); err != nil {
				t.Fatal(err)
			}
			awaitResumed(t, resumed)
			if n, err := ours.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Errorf("%d bytes, no error", n)
			}
		})
	}
}

func TestWakeResumesOnce(t *testing.T) {
	p, l := newParking(t), listen(t)
	ours, device := socketPair(t, l)
	var at Place
	p.Wake(&at) // never parked
	resumed := park(t, p, ours, &at)
	p.Wake(&at)
	p.Wake(&at)
	awaitResumed(t, resumed)
	// The system still tells of that stay.
	say(t, device, "a")
	again := park(t, p, ours, &at)
	awaitResumed(t, again)
	p.Wake(&at)
	p.Close()
	if len(resumed)+len(again) > 0 {
		t.Error("resumed twice")
	}
}

// A descriptor gets a new owner, and the connection it was of is still parked: each is resumed by what concerns it.
func TestAClosedConnectionsDescriptorIsAnothers(t *testing.T) {
	p, l := newParking(t), listen(t)
	first, _ := socketPair(t, l)
	var firstPlace, secondPlace Place
	firstResumed := park(t, p, first, &firstPlace)
	number := descriptor(t, first)
	var devices []net.Conn
	for range 20 {
		devices = append(devices, dial(t, l))
	}
	_ = first.Close()
	// The system gives the lowest that is free.
	var second, device net.Conn
	for _, device = range devices { // they are accepted in the order in which they came
		if second = accept(t, l); descriptor(t, second) == number {
			break
		}
	}
	if descriptor(t, second) != number || second.RemoteAddr().String() != device.LocalAddr().String() {
		t.Fatal("the descriptor was not used again")
	}
	secondResumed := park(t, p, second, &secondPlace)
	say(t, device, "a")
	awaitResumed(t, secondResumed)
	if len(firstResumed) > 0 || p.Parked() != 1 {
		t.Fatal("the closed connection was resumed by what came on another")
	}
	p.Wake(&firstPlace)
	awaitResumed(t, firstResumed)
}

func descriptor(t *testing.T, c net.Conn) (fd uintptr) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = raw.Control(func(n uintptr) { fd = n })
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestNotParked(t *testing.T) {
	p, l := newParking(t), listen(t)
	resume := func() { t.Error("resumed") }
	var at Place
	if pipe, _ := net.Pipe(); p.Park(pipe, &at, resume) {
		t.Error("a connection that is no socket is parked")
	}
	ours, _ := socketPair(t, l)
	_ = ours.Close()
	if p.Park(ours, &at, resume) {
		t.Error("a closed connection is parked")
	}
	p.Close()
	if ours, _ = socketPair(t, l); p.Park(ours, &at, resume) {
		t.Error("parked after Close")
	}
}

func TestCloseResumesAll(t *testing.T) {
	p, l := newParking(t), listen(t)
	var resumed []chan struct{}
	places := make([]Place, 10)
	for i := range places {
		ours, _ := socketPair(t, l)
		resumed = append(resumed, park(t, p, ours, &places[i]))
	}
	p.Close()
	p.Close()
	for _, r := range resumed {
		awaitResumed(t, r)
	}
}

// Many connections that echo what they get and park in between, all at once. The last is ended by either end, or woken.
func TestManyParkAtOnce(t *testing.T) {
	const connections, words = 2000, 5
	p, l := newParking(t), listen(t)
	var devices sync.WaitGroup
	var served atomic.Int64
	ended := make(chan struct{})
	for i := range connections {
		ours, device := socketPair(t, l)
		e := &echo{conn: ours, parking: p, ended: func() {
			if served.Add(1) == connections {
				close(ended)
			}
		}}
		e.resume = e.serve
		go e.serve()
		devices.Go(func() {
			got := make([]byte, 4)
			for j := range words {
				want := []byte{byte(i), byte(i >> 8), byte(j), 1}
				if _, err := device.Write(want); err != nil {
					t.Error(err)
					return
				}
				if _, err := io.ReadFull(device, got); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d: %v, %v; want %v", i, got, err, want)
					return
				}
			}
			if i%2 == 0 {
				_ = device.Close()
				return
			}
			_ = ours.Close()
			p.Wake(&e.place)
		})
	}
	devices.Wait()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatalf("%d of %d connections were seen to end", served.Load(), connections)
	}
	if n := p.Parked(); n != 0 {
		t.Errorf("%d are parked", n)
	}
}

// echo is an owner of a connection that reads, answers and parks. Two of it at a time would be a race.
type echo struct {
	conn    net.Conn
	parking *Parking
	place   Place
	resume  func()
	ended   func()
	buf     [4]byte
}

func (e *echo) serve() {
	for {
		if _, err := io.ReadFull(e.conn, e.buf[:]); err != nil {
			_ = e.conn.Close()
			e.ended()
			return
		}
		_, _ = e.conn.Write(e.buf[:])
		if e.parking != nil && e.parking.Park(e.conn, &e.place, e.resume) {
			return
		}
	}
}

// BenchmarkWake is what a word costs there and back, to a connection that is parked and to one that a goroutine reads from.
func BenchmarkWake(b *testing.B) {
	for name, p := range map[string]*Parking{"parked": {}, "read": nil} {
		b.Run(name, func(b *testing.B) {
			ours, device := socketPair(b, listen(b))
			ended := make(chan struct{})
			e := &echo{conn: ours, parking: p, ended: func() { close(ended) }}
			e.resume = e.serve
			go e.serve()
			word := []byte("word")
			for b.Loop() {
				if _, err := device.Write(word); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(device, word); err != nil {
					b.Fatal(err)
				}
			}
			_ = device.Close()
			<-ended
			if p != nil {
				p.Close()
			}
		})
	}
}
