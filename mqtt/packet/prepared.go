package packet

// Prepared is a PUBLISH that many connections are sent as it is. It is encoded once for each version, but for the payload, and shares that: Append copies
// ready bytes. It is never changed, so that any number of goroutines may send it.
type Prepared struct {
	publish *Publish
	heads   [2]head // of 3.1.1 and 5
}

// head is all that stands before the payload.
type head struct {
	bytes []byte
	err   error // of Append
}

// Prepare encodes p, which must not be changed any more.
func Prepare(p *Publish) *Prepared {
	prepared := &Prepared{publish: p}
	// Both have the topic, and the later one the properties of nearly all messages: one piece of memory.
	buf := make([]byte, 0, 2*(len(p.Topic)+maxHeaderBytes+4)+len(p.Properties.ContentType)+len(p.Properties.ResponseTopic))
	for i, v := range [...]Version{V311, V5} {
		h := &prepared.heads[i]
		before := len(buf)
		if buf, h.err = appendHead(buf, p, v); h.err == nil {
			h.bytes = buf[before:len(buf):len(buf)]
		}
	}
	return prepared
}

// appendHead writes what Append would, without the payload.
func appendHead(dst []byte, p *Publish, v Version) ([]byte, error) {
	_, l, err := measure(p, v)
	if err != nil {
		return dst, err
	}
	dst = appendVarint(append(dst, firstByte(p)), uint32(l.body))
	bare := *p
	bare.Payload = nil
	return bare.appendBody(dst, l, v), nil
}

// Publish is the packet that was encoded. It must not be changed.
func (p *Prepared) Publish() *Publish { return p.publish }

// Type is PUBLISH.
func (p *Prepared) Type() Type { return PUBLISH }

func (p *Prepared) head(v Version) ([]byte, error) {
	switch v {
	case V311:
		return p.heads[0].bytes, p.heads[0].err
	case V5:
		return p.heads[1].bytes, p.heads[1].err
	}
	return nil, unwritable(PUBLISH, "the version is not set")
}

func (p *Prepared) append(dst []byte, v Version) ([]byte, error) {
	h, err := p.head(v)
	if err != nil {
		return dst, err
	}
	return append(append(dst, h...), p.publish.Payload...), nil
}

func (p *Prepared) size(v Version) (int, error) {
	h, err := p.head(v)
	if err != nil {
		return 0, err
	}
	return len(h) + len(p.publish.Payload), nil
}
