package endpoint

import (
	"maps"
	"math"
	"slices"
	"time"

	"sluice/amqp/frame"
)

// phase is where a connection stands [AMQP 2.4.6].
type phase uint8

const (
	awaitOpen phase = iota
	opened
	closeSent // we closed with an error or on demand and wait for the peer's close
	ended
)

// Connection is one accepted connection, from its first open to its end. It is not safe for concurrent use.
type Connection struct {
	cfg      Config
	phase    phase
	peer     Peer
	maxFrame uint32 // the largest frame that we send
	chanMax  uint16 // the highest channel that either end knows
	sessions map[uint16]*Session

	heartbeat time.Duration // how often the peer wants to hear from us, zero never
	heard     time.Time     // when the last frame came
	said      time.Time     // when the last frame went out

	partialBytes int // in unfinished deliveries
	windowHeld   bool
	closing      *frame.Error // what we closed with

	out     []byte
	effects []Effect
	dirty   []*Session // sessions with dispositions to flush
}

// New starts a connection whose protocol headers (and SASL, if any) have been exchanged.
func New(cfg Config, now time.Time) *Connection {
	cfg = cfg.withDefaults()
	return &Connection{
		cfg: cfg, maxFrame: frame.MinMaxFrameSize, chanMax: cfg.ChannelMax,
		sessions: make(map[uint16]*Session), heard: now, said: now,
	}
}

// TakeOutput hands over the encoded frames and goes on in spare, whose content is dropped. Pending dispositions are included.
func (c *Connection) TakeOutput(now time.Time, spare []byte) []byte {
	c.flush()
	out := c.out
	c.out = spare[:0]
	if len(out) > 0 {
		c.said = now
	}
	return out
}

// OutputLen is how many bytes wait for TakeOutput.
func (c *Connection) OutputLen() int { return len(c.out) }

// TakeEffects hands over the effects since the last call and goes on in spare, whose content is dropped.
func (c *Connection) TakeEffects(spare []Effect) []Effect {
	effects := c.effects
	clear(spare)
	c.effects = spare[:0]
	return effects
}

// Handle takes in one performative; nil is an empty frame, which only shows that the peer lives.
func (c *Connection) Handle(now time.Time, channel uint16, p frame.Performative, payload []byte) {
	c.heard = now
	if p == nil || c.phase == ended {
		return
	}
	switch c.phase {
	case awaitOpen:
		open, ok := p.(*frame.Open)
		if !ok {
			c.Close(Errorf(NotAllowed, "the first frame must be an open [AMQP 2.4.1]"))
			return
		}
		c.open(open)
		return
	case closeSent:
		// Whatever the peer sent before it saw our close is discarded [AMQP 2.4.6].
		if _, ok := p.(*frame.Close); ok {
			c.end(c.closing)
		}
		return
	}
	switch p := p.(type) {
	case *frame.Open:
		c.Close(Errorf(NotAllowed, "a second open"))
	case *frame.Close:
		c.flush()
		c.send(0, &frame.Close{})
		c.endLinks(p.Error, p.Error != nil)
		c.end(p.Error)
	case *frame.Begin:
		c.begin(channel, p)
	default:
		s := c.sessions[channel]
		if s == nil {
			c.Close(Errorf(NotAllowed, "a frame on channel %d, which has no session", channel))
			return
		}
		s.handle(p, payload)
	}
}

// Closing tells whether we closed the connection and wait for the peer's close.
func (c *Connection) Closing() bool { return c.phase == closeSent }

// Fail closes the connection because bytes could not be decoded or framed.
func (c *Connection) Fail(err error) { c.Close(DecodeFailure(err)) }

func (c *Connection) open(p *frame.Open) {
	c.phase = opened
	if p.MaxFrameSize < frame.MinMaxFrameSize {
		c.sendOpen()
		c.Close(Errorf(InvalidField, "max-frame-size %d is below the minimum of %d [AMQP 2.7.1]", p.MaxFrameSize, frame.MinMaxFrameSize))
		return
	}
	c.peer = Peer{ContainerID: p.ContainerID, Hostname: p.Hostname, MaxFrameSize: p.MaxFrameSize}
	c.maxFrame = min(p.MaxFrameSize, c.cfg.MaxFrameSize)
	c.chanMax = min(p.ChannelMax, c.cfg.ChannelMax)
	// The peer's idle-time-out is the gap after which it may give up: speak twice as often [AMQP 2.4.5].
	c.heartbeat = time.Duration(p.IdleTimeout) * time.Millisecond / 2
	c.sendOpen()
	c.effect(Opened{Peer: c.peer})
}

func (c *Connection) sendOpen() {
	idle := max(c.cfg.IdleTimeout/2, 0).Milliseconds()
	c.send(0, &frame.Open{
		ContainerID: c.cfg.ContainerID, MaxFrameSize: c.cfg.MaxFrameSize, ChannelMax: c.cfg.ChannelMax,
		IdleTimeout: uint32(min(idle, math.MaxUint32)), OfferedCapabilities: c.cfg.OfferedCapabilities, Properties: c.cfg.Properties,
	})
}

func (c *Connection) begin(channel uint16, p *frame.Begin) {
	switch {
	case channel > c.chanMax:
		c.Close(Errorf(FramingError, "channel %d is above the negotiated channel-max of %d", channel, c.chanMax))
		return
	case c.sessions[channel] != nil:
		c.Close(Errorf(NotAllowed, "channel %d already has a session", channel))
		return
	case p.RemoteChannel.Set:
		c.Close(Errorf(NotAllowed, "begin answers channel %d, on which we began nothing", p.RemoteChannel.Value))
		return
	}
	s := newSession(c, channel, p)
	c.sessions[channel] = s
	c.send(channel, &frame.Begin{
		RemoteChannel: frame.Some(channel), NextOutgoingID: s.nextOutgoingID,
		IncomingWindow: s.window(), OutgoingWindow: outgoingWindow, HandleMax: c.cfg.HandleMax,
	})
}

// Close closes the connection with an error; nil is an orderly close.
func (c *Connection) Close(e *frame.Error) {
	switch c.phase {
	case closeSent, ended:
		return
	case awaitOpen:
		c.sendOpen() // a close must be preceded by an open [AMQP 2.4.1]
	}
	c.flush()
	c.phase, c.closing = closeSent, e
	c.send(0, &frame.Close{Error: e})
	c.endLinks(e, true)
	if e != nil && (e.Condition == FramingError || e.Condition == DecodeError) {
		c.end(e) // the stream cannot be read further, so no close can be awaited
	}
}

// Lost ends everything because the transport is gone.
func (c *Connection) Lost() {
	if c.phase == ended {
		return
	}
	c.endLinks(nil, true)
	c.end(nil)
}

func (c *Connection) end(e *frame.Error) {
	c.phase = ended
	c.effect(Ended{Error: e})
}

// endLinks drops all sessions.
func (c *Connection) endLinks(e *frame.Error, lost bool) {
	for _, channel := range slices.Sorted(maps.Keys(c.sessions)) {
		c.sessions[channel].endLinks(e, lost)
	}
	clear(c.sessions)
	c.dirty = c.dirty[:0]
}

// Tick does what time demands: heartbeats, and the end of a peer that fell silent.
func (c *Connection) Tick(now time.Time) {
	if c.phase == ended {
		return
	}
	if limit := c.cfg.IdleTimeout; limit > 0 && now.Sub(c.heard) >= limit {
		silent := Errorf(ResourceLimitExceeded, "nothing was received for %s: idle-time-out", limit)
		c.Close(silent)
		c.end(silent)
		return
	}
	if c.heartbeat > 0 && now.Sub(c.said) >= c.heartbeat && len(c.out) == 0 {
		c.out = frame.AppendHeartbeat(c.out)
	}
}

// Deadline is when Tick has to be called; zero is never.
func (c *Connection) Deadline() time.Time {
	var due time.Time
	if c.phase == ended {
		return due
	}
	if c.cfg.IdleTimeout > 0 {
		due = c.heard.Add(c.cfg.IdleTimeout)
	}
	if c.heartbeat > 0 {
		if next := c.said.Add(c.heartbeat); due.IsZero() || next.Before(due) {
			due = next
		}
	}
	return due
}

// HoldWindows sets the incoming window of all sessions to zero, or opens it again: what RabbitMQ does while it is out of memory.
func (c *Connection) HoldWindows(hold bool) {
	if c.windowHeld == hold {
		return
	}
	c.windowHeld = hold
	for _, channel := range slices.Sorted(maps.Keys(c.sessions)) {
		if s := c.sessions[channel]; !s.endSent {
			s.sendWindow()
		}
	}
}

// Sessions lists the sessions by channel.
func (c *Connection) Sessions() []*Session {
	list := make([]*Session, 0, len(c.sessions))
	for _, channel := range slices.Sorted(maps.Keys(c.sessions)) {
		list = append(list, c.sessions[channel])
	}
	return list
}

func (c *Connection) effect(e Effect) { c.effects = append(c.effects, e) }

// send appends a frame without payload. A value that cannot be encoded is our own fault; the peer learns that we failed.
func (c *Connection) send(channel uint16, p frame.Performative) {
	out, err := frame.Append(c.out, channel, p, nil)
	if err == nil {
		c.out = out
		return
	}
	c.unencodable(err)
}

func (c *Connection) unencodable(err error) {
	if c.phase == ended {
		return
	}
	fault := Errorf(InternalError, "cannot encode a frame: %s", err)
	if c.phase != closeSent {
		if out, err := frame.Append(c.out, 0, &frame.Close{Error: fault}, nil); err == nil {
			c.out = out
		}
		c.endLinks(fault, true)
	}
	c.end(fault)
}

// flush writes the dispositions that were collected.
func (c *Connection) flush() {
	for _, s := range c.dirty {
		s.flushDispositions()
	}
	c.dirty = c.dirty[:0]
}
