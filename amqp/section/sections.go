package section

import (
	"sluice/amqp/message"
	"sluice/amqp/wire"
)

// Append appends the message: header if HasHeader, annotations, the bare message as it came, footer.
func (s *Sections) Append(dst []byte) []byte {
	if s.HasHeader {
		dst = appendHeader(dst, &s.Header)
	}
	dst = append(dst, s.DeliveryAnnotations...)
	dst = append(dst, s.MessageAnnotations...)
	dst = append(dst, s.Bare...)
	return append(dst, s.Footer...)
}

func appendHeader(dst []byte, h *Header) []byte {
	w := wire.NewFieldWriter(dst, descHeader, "header")
	w.Bool(h.Durable, false)
	w.Ubyte(h.Priority, message.DefaultPriority)
	w.OptUint(h.TTL)
	w.Bool(h.FirstAcquirer, false)
	w.Uint(h.DeliveryCount, 0)
	out, _ := w.Finish() // fixed-width fields cannot fail
	return out
}

// MessageAnnotationMap decodes the message-annotations; nil when absent. Binaries in it are views of the section.
func (s *Sections) MessageAnnotationMap() (wire.Map, error) {
	return readMap(s.MessageAnnotations)
}

// SetMessageAnnotations replaces the message-annotations; an empty map removes the section. Keys have to be symbols or ulongs
// [AMQP 3.2.10]. On error nothing is changed.
func (s *Sections) SetMessageAnnotations(m wire.Map) error {
	encoded, err := appendMap(nil, descMessageAnnotations, m)
	if err == nil {
		s.MessageAnnotations = encoded
	}
	return err
}

// ApplicationPropertyMap decodes the application-properties; nil when absent. Binaries in it are views of the section.
func (s *Sections) ApplicationPropertyMap() (wire.Map, error) {
	return readMap(s.ApplicationProperties)
}

// PropertiesValue decodes the properties section; the zero value when absent. Binaries in it are views of the section.
func (s *Sections) PropertiesValue() (message.Properties, error) {
	if s.Properties == nil {
		return message.Properties{}, nil
	}
	r := wire.NewReader(s.Properties)
	if _, err := r.Descriptor(); err != nil {
		return message.Properties{}, err
	}
	return readProperties(&r)
}

// readMap decodes a whole section that holds a map.
func readMap(section []byte) (wire.Map, error) {
	if section == nil {
		return nil, nil
	}
	r := wire.NewReader(section)
	if _, err := r.Descriptor(); err != nil {
		return nil, err
	}
	v, err := r.Value()
	if err != nil {
		return nil, err
	}
	m, _ := v.(wire.Map) // a null section is an absent one
	return m, nil
}

// appendMap appends a whole section that holds a map, or nothing when the map is empty.
func appendMap(dst []byte, descriptor uint64, m wire.Map) ([]byte, error) {
	if len(m) == 0 {
		return dst, nil
	}
	for _, p := range m {
		if err := checkKey(descriptor, p.Key); err != nil {
			return dst, err
		}
	}
	out, err := wire.AppendMap(wire.AppendDescriptor(dst, descriptor), m)
	if err != nil {
		return dst, err
	}
	return out, nil
}

func checkKey(descriptor uint64, key any) error {
	ok := false
	switch key.(type) {
	case string:
		ok = descriptor == descApplicationProperties
	case message.Symbol, uint64:
		ok = descriptor != descApplicationProperties
	}
	if !ok {
		return &wire.Error{Condition: wire.CondInvalidField, What: nameOf(descriptor), Offset: -1,
			Reason: "a key has a type that is not allowed: annotations take symbols and ulongs, application-properties strings"}
	}
	return nil
}
