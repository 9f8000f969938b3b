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

// AppendHead is Append for a PUBLISH, prepared or not, but that it leaves the payload to the caller, who need not copy it. Any other packet is written as a
// whole.
func AppendHead(dst []byte, p Packet, v Version) (head, payload []byte, err error) {
	switch p := p.(type) {
	case *Publish:
		head, err = appendHead(dst, p, v)
		payload = p.Payload
	case *Prepared:
		var h []byte
		h, err = p.head(v)
		head, payload = append(dst, h...), p.publish.Payload
	default:
		head, err = Append(dst, p, v)
	}
	if err != nil {
		return dst, nil, err
	}
	return head, payload, nil
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
	head, payload, err := AppendHead(dst, p, v)
	return append(head, payload...), err
}

func (p *Prepared) size(v Version) (int, error) {
	h, err := p.head(v)
	if err != nil {
		return 0, err
	}
	return len(h) + len(p.publish.Payload), nil
}
