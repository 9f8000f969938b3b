package wire

// descriptors maps the symbolic descriptors of the standard's composite types and sections to their numeric ones. A peer may send either
// [AMQP 1.3.2]; we always send the numeric one.
var descriptors = map[string]uint64{
	"amqp:open:list":                           0x10,
	"amqp:begin:list":                          0x11,
	"amqp:attach:list":                         0x12,
	"amqp:flow:list":                           0x13,
	"amqp:transfer:list":                       0x14,
	"amqp:disposition:list":                    0x15,
	"amqp:detach:list":                         0x16,
	"amqp:end:list":                            0x17,
	"amqp:close:list":                          0x18,
	"amqp:error:list":                          0x1d,
	"amqp:received:list":                       0x23,
	"amqp:accepted:list":                       0x24,
	"amqp:rejected:list":                       0x25,
	"amqp:released:list":                       0x26,
	"amqp:modified:list":                       0x27,
	"amqp:source:list":                         0x28,
	"amqp:target:list":                         0x29,
	"amqp:delete-on-close:list":                0x2b,
	"amqp:delete-on-no-links:list":             0x2c,
	"amqp:delete-on-no-messages:list":          0x2d,
	"amqp:coordinator:list":                    0x30,
	"amqp:declare:list":                        0x31,
	"amqp:discharge:list":                      0x32,
	"amqp:declared:list":                       0x33,
	"amqp:transactional-state:list":            0x34,
	"amqp:sasl-mechanisms:list":                0x40,
	"amqp:sasl-init:list":                      0x41,
	"amqp:sasl-challenge:list":                 0x42,
	"amqp:sasl-response:list":                  0x43,
	"amqp:sasl-outcome:list":                   0x44,
	"amqp:header:list":                         0x70,
	"amqp:delivery-annotations:map":            0x71,
	"amqp:message-annotations:map":             0x72,
	"amqp:properties:list":                     0x73,
	"amqp:application-properties:map":          0x74,
	"amqp:data:binary":                         0x75,
	"amqp:amqp-sequence:list":                  0x76,
	"amqp:amqp-value:*":                        0x77,
	"amqp:footer:map":                          0x78,
	"amqp:delete-on-no-links-or-messages:list": 0x2e,
}

// Descriptor reads the constructor of a described type up to its value, and gives the descriptor in its numeric form.
func (r *Reader) Descriptor() (uint64, error) {
	start := r.pos
	c, err := r.code()
	if err != nil {
		return 0, err
	}
	if c != CodeDescribed {
		r.pos = start
		return 0, r.err("a described value is expected, not a %v", codes[c].kind)
	}
	if c, err = r.code(); err != nil {
		return 0, err
	}
	switch codes[c].kind {
	case KindUlong:
		return r.unsigned(c)
	case KindSymbol:
		name, err := r.symbol(c)
		if err != nil {
			return 0, err
		}
		if d, ok := descriptors[string(name)]; ok {
			return d, nil
		}
		r.pos = start
		return 0, r.err("the descriptor %.64q is not known", name)
	}
	r.pos = start
	return 0, r.err("a descriptor is a ulong or a symbol, not a %v", codes[c].kind)
}
