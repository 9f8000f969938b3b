package client

import (
	"encoding/binary"
	"slices"
	"sync"

	goamqp "github.com/Azure/go-amqp"

	"sluice/amqp/frame"
)

// inlets are the receiving sessions of a connection. The library knows nothing of them, and has no sessions of its own there, so that the channels are ours. They are
// bounded by maxSessions.
type inlets struct {
	mu       sync.Mutex
	channels []*inlet // by our channel; nil: free
	over     error    // why there will be no more

	// The rest is the reader's.
	peers   map[uint16]*inlet // by the peer's channel
	decoder frame.Decoder
}

// begin begins a session, and waits for the bus's answer.
func (c *netConn) begin() (*inlet, error) {
	in := &inlet{net: c, done: make(chan struct{})}
	if err := c.inlets.add(in); err != nil {
		return nil, err
	}
	_, _ = c.offer(&echo{in.channel, &frame.Begin{IncomingWindow: sessionWindow, OutgoingWindow: sessionWindow, HandleMax: maxLinks}}, true) // if it is not taken, the end of the connection is told
	<-in.done
	in.mu.Lock()
	defer in.mu.Unlock()
	return in, in.over
}

// add gives in the lowest channel that is free.
func (i *inlets) add(in *inlet) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over != nil {
		return i.over
	}
	at := slices.Index(i.channels, nil)
	if at < 0 {
		at = len(i.channels)
		i.channels = append(i.channels, nil)
	}
	i.channels[at], in.channel = in, uint16(at)
	return nil
}

// at gives the session with that channel of ours, nil: none.
func (i *inlets) at(channel uint32) *inlet {
	i.mu.Lock()
	defer i.mu.Unlock()
	if channel >= uint32(len(i.channels)) {
		return nil
	}
	return i.channels[channel]
}

// lose ends all sessions with their connection.
func (i *inlets) lose(err error) {
	i.mu.Lock()
	i.over = err
	all := i.channels
	i.channels = nil
	i.mu.Unlock()
	for _, in := range all {
		if in != nil {
			in.end(err)
		}
	}
}

// read takes a whole inbound frame if it belongs to a session of ours, and reports that. An error ends the connection.
func (i *inlets) read(b []byte, limits *peerLimits) (ours bool, err error) {
	start := int(b[4]) * 4
	if b[5] != frameTypeAMQP || start < frameHeaderSize || len(b) < start+3 {
		return false, nil
	}
	channel := binary.BigEndian.Uint16(b[6:])
	in := i.peers[channel]
	if in == nil {
		if b[start+2] != codeBegin {
			return false, nil
		}
		p, err := parsePerformative(b[start:])
		if err != nil {
			return false, err
		}
		answers, _ := p.uint(0)
		if in = i.at(answers); in == nil {
			return false, nil
		}
	}
	p, payload, err := i.decoder.Decode(b[5], b[start:])
	if err != nil {
		return true, refuse("%v", err)
	}
	switch p := p.(type) {
	case *frame.Begin:
		return true, i.begun(in, channel, p, limits)
	case *frame.End:
		i.ended(in, channel, p)
		return true, nil
	}
	return true, in.hear(p, payload)
}

func (i *inlets) begun(in *inlet, channel uint16, b *frame.Begin, limits *peerLimits) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.incoming.peers != nil || in.over != nil {
		return refuse("a session begins twice")
	}
	if i.peers == nil {
		i.peers = make(map[uint16]*inlet)
	}
	i.peers[channel] = in
	limits.handleMax = min(limits.handleMax, b.HandleMax)
	in.maxFrame = limits.maxFrame
	in.incoming.begun(b)
	close(in.done)
	return nil
}

// ended answers the peer's end. The channel is free from then on.
func (i *inlets) ended(in *inlet, channel uint16, e *frame.End) {
	delete(i.peers, channel)
	in.end(&goamqp.SessionError{RemoteErr: goError(e.Error)})
	_, _ = in.net.offer(&echo{in.channel, &frame.End{}}, true)
	i.mu.Lock()
	defer i.mu.Unlock()
	if int(in.channel) < len(i.channels) {
		i.channels[in.channel] = nil
	}
}
