package embedded

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"sluice/amqp/frame"
)

// errRefused ends a handshake that was answered as the standard demands.
var errRefused = errors.New("handshake refused")

// handshake exchanges the protocol headers and, if the peer wants it or a user is set, SASL [AMQP 2.2, 5.3]. It runs before
// the writer starts, under the handshake's deadline.
func (c *connection) handshake() error {
	id, err := c.readProtocol()
	if err != nil {
		return err
	}
	switch {
	case id == frame.ProtocolSASL:
		if err := c.sasl(); err != nil {
			return err
		}
		if id, err = c.readProtocol(); err != nil {
			return err
		}
	case c.needsSASL():
		return c.offer() // no credentials will come
	}
	if id != frame.ProtocolAMQP {
		return c.offer()
	}
	_, err = c.nc.Write(frame.AppendProtocolHeader(nil, frame.ProtocolAMQP))
	return err
}

func (c *connection) needsSASL() bool { return c.broker.options.User != "" || c.space != nil }

// offer tells the peer which protocol is spoken here, and gives up [AMQP 2.2].
func (c *connection) offer() error {
	want := frame.ProtocolAMQP
	if c.needsSASL() {
		want = frame.ProtocolSASL
	}
	if _, err := c.nc.Write(frame.AppendProtocolHeader(nil, want)); err != nil {
		return err
	}
	return fmt.Errorf("%w: the peer does not begin with the protocol header %d", errRefused, want)
}

func (c *connection) readProtocol() (frame.ProtocolID, error) {
	var header [frame.ProtocolHeaderSize]byte
	if _, err := io.ReadFull(c.reader, header[:]); err != nil {
		return 0, err
	}
	id, err := frame.ParseProtocolHeader(header[:])
	if err != nil {
		return 0, errors.Join(err, c.offer())
	}
	return id, nil
}

func (c *connection) sasl() error {
	mechanisms := []frame.Symbol{"PLAIN", "ANONYMOUS"}
	if c.broker.options.User != "" {
		mechanisms = mechanisms[:1]
	}
	out := frame.AppendProtocolHeader(nil, frame.ProtocolSASL)
	out, err := frame.AppendSASL(out, &frame.SASLMechanisms{Mechanisms: mechanisms})
	if err != nil {
		return err
	}
	if _, err := c.nc.Write(out); err != nil {
		return err
	}
	h, body, err := c.readFrame(frame.MinMaxFrameSize)
	if err != nil {
		return err
	}
	p, _, err := frame.Decode(h.Type, body)
	if err != nil {
		return err
	}
	init, ok := p.(*frame.SASLInit)
	if !ok {
		return fmt.Errorf("%w: a %T instead of a sasl-init", errRefused, p)
	}
	code := frame.SASLAuth
	if c.authenticates(init) {
		code = frame.SASLOK
	}
	if out, err = frame.AppendSASL(out[:0], &frame.SASLOutcome{Code: code}); err != nil {
		return err
	}
	if _, err := c.nc.Write(out); err != nil {
		return err
	}
	if code != frame.SASLOK {
		return fmt.Errorf("%w: SASL %s with wrong credentials or not offered", errRefused, init.Mechanism)
	}
	return nil
}

func (c *connection) authenticates(init *frame.SASLInit) bool {
	user, password := c.broker.options.User, c.broker.options.Password
	switch init.Mechanism {
	case "ANONYMOUS":
		return user == ""
	case "PLAIN":
		// authzid NUL authcid NUL passwd [RFC 4616]
		parts := bytes.Split(init.InitialResponse, []byte{0})
		if len(parts) != 3 {
			return false
		}
		if c.space != nil {
			c.trusted = c.space.CheckPlain(string(parts[1]), string(parts[2]))
			return c.trusted
		}
		rightUser := subtle.ConstantTimeCompare(parts[1], []byte(user))
		rightPassword := subtle.ConstantTimeCompare(parts[2], []byte(password))
		return user == "" || rightUser&rightPassword == 1
	}
	return false
}
