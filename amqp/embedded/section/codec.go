package section

import (
	"errors"

	"sluice/amqp/embedded/wire"
	"sluice/amqp/message"
)

var errUnwritten = errors.New("section: not written yet")

// DefaultHeader is what an absent header means.
func DefaultHeader() Header { return Header{Priority: message.DefaultPriority} }

// Parse takes a message (the joined payloads of a delivery's transfers, message-format 0) apart and checks all of it.
func Parse(payload []byte) (Sections, error) { return Sections{}, errUnwritten }

// Append appends the message: header if HasHeader, annotations, the bare message as it came, footer.
func (s *Sections) Append(dst []byte) []byte { return dst }

// MessageAnnotationMap decodes the message-annotations; nil when absent.
func (s *Sections) MessageAnnotationMap() (wire.Map, error) { return nil, errUnwritten }

// SetMessageAnnotations replaces the message-annotations; an empty map removes the section.
func (s *Sections) SetMessageAnnotations(m wire.Map) error { return errUnwritten }

// ApplicationPropertyMap decodes the application-properties; nil when absent.
func (s *Sections) ApplicationPropertyMap() (wire.Map, error) { return nil, errUnwritten }

// PropertiesValue decodes the properties section; the zero value when absent.
func (s *Sections) PropertiesValue() (message.Properties, error) {
	return message.Properties{}, errUnwritten
}

// EncodeMessage encodes m, always with a header.
func EncodeMessage(m *message.Message) ([]byte, error) { return nil, errUnwritten }

// DecodeMessage decodes a whole message; nothing in it aliases payload.
func DecodeMessage(payload []byte) (*message.Message, error) { return nil, errUnwritten }
