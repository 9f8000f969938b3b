package client

import (
	"bytes"
	"testing"

	"sluice/amqp/frame"
)

// A delivery of several frames on a settled link is settled from its first frame on [AMQP 2.7.5]; everything else passes as it is.
func TestSettledDeliveriesOfSeveralFrames(t *testing.T) {
	links := settledLinks{}
	see := func(channel uint16, p frame.Performative) { links.mend(encode(t, channel, p)) }
	attach := func(channel uint16, handle uint32, mode frame.SenderSettleMode, role frame.Role) {
		see(channel, &frame.Attach{Name: "link", Handle: handle, Role: role, SenderSettleMode: mode, InitialDeliveryCount: frame.Some(uint32(0)), Source: &frame.Source{}, Target: &frame.Target{}})
	}
	attach(1, 0, frame.SenderSettled, frame.RoleSender)
	attach(1, 1, frame.SenderUnsettled, frame.RoleSender)
	attach(1, 2, frame.SenderSettled, frame.RoleReceiver)
	attach(2, 1, frame.SenderSettled, frame.RoleSender)
	attach(3, 1, frame.SenderSettled, frame.RoleSender)
	attach(4, 1, frame.SenderSettled, frame.RoleSender)
	see(3, &frame.Detach{Handle: 1, Closed: true})
	see(4, &frame.End{})

	first := frame.Transfer{DeliveryID: frame.Some(uint32(7)), DeliveryTag: []byte{1}, MessageFormat: frame.Some(uint32(0)), More: true}
	for _, c := range []struct {
		name    string
		channel uint16
		handle  uint32
		size    int
		change  func(*frame.Transfer)
		settled bool
	}{
		{"first of several", 1, 0, smallestSplit, nil, true},
		{"first of several, another session", 2, 1, smallestSplit, nil, true},
		{"one between", 1, 0, 1 << 16, func(p *frame.Transfer) { p.DeliveryID, p.DeliveryTag = frame.Opt[uint32]{}, nil }, true},
		{"the only one", 1, 0, smallestSplit, func(p *frame.Transfer) { p.More = false }, false},
		{"small", 1, 0, 10, nil, false},
		{"unsettled link", 1, 1, smallestSplit, nil, false},
		{"link on which we receive", 1, 2, smallestSplit, nil, false},
		{"unknown link", 1, 3, smallestSplit, nil, false},
		{"detached link", 3, 1, smallestSplit, nil, false},
		{"ended session", 4, 1, smallestSplit, nil, false},
	} {
		p := first
		p.Handle = c.handle
		if c.change != nil {
			c.change(&p)
		}
		got := appendTransfer(t, c.channel, p, c.size)
		links.mend(got)
		p.Settled = c.settled
		if want := appendTransfer(t, c.channel, p, c.size); !bytes.Equal(got, want) {
			t.Errorf("%s: % x, want % x", c.name, got[:40], want[:40])
		}
	}
}

// What is not one whole frame is none of its business.
func TestSettledLinksLeaveOtherBytesAlone(t *testing.T) {
	links := settledLinks{}
	links.mend(encode(t, 1, &frame.Attach{Name: "link", Role: frame.RoleSender, SenderSettleMode: frame.SenderSettled, InitialDeliveryCount: frame.Some(uint32(0)), Source: &frame.Source{}, Target: &frame.Target{}}))
	whole := appendTransfer(t, 1, frame.Transfer{DeliveryID: frame.Some(uint32(7)), DeliveryTag: []byte{1}, More: true}, 1000)
	for n := range whole {
		cut := bytes.Clone(whole[:n])
		links.mend(cut)
		if !bytes.Equal(cut, whole[:n]) {
			t.Fatalf("%d bytes were changed", n)
		}
	}
	two := append(bytes.Clone(whole), whole...)
	links.mend(two)
	if !bytes.Equal(two[:len(whole)], whole) {
		t.Error("two frames in one were changed")
	}
}

func appendTransfer(t *testing.T, channel uint16, p frame.Transfer, size int) []byte {
	t.Helper()
	b, err := frame.Append(nil, channel, &p, make([]byte, size))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
