package frame

import "sluice/amqp/wire"

// SASLMechanisms offers mechanisms [AMQP 5.3.3.1].
type SASLMechanisms struct {
	Mechanisms []Symbol // at least one
}

// SASLInit chooses one [AMQP 5.3.3.2].
type SASLInit struct {
	Mechanism       Symbol
	InitialResponse []byte // nil is absent
	Hostname        string
}

// SASLChallenge is a challenge [AMQP 5.3.3.3].
type SASLChallenge struct {
	Challenge []byte
}

// SASLResponse answers it [AMQP 5.3.3.4].
type SASLResponse struct {
	Response []byte
}

// SASLOutcome ends the exchange [AMQP 5.3.3.5].
type SASLOutcome struct {
	Code           SASLCode
	AdditionalData []byte // nil is absent
}

// SASLCode is how the exchange ended [AMQP 5.3.3.6].
type SASLCode uint8

// The SASL outcome codes.
const (
	SASLOK       SASLCode = 0
	SASLAuth     SASLCode = 1 // credentials refused
	SASLSys      SASLCode = 2 // system error
	SASLSysPerm  SASLCode = 3 // unrecoverable
	SASLSysTempo SASLCode = 4 // transient
)

// Descriptor implements Performative.
func (*SASLMechanisms) Descriptor() uint64 { return DescSASLMechanisms }

// Descriptor implements Performative.
func (*SASLInit) Descriptor() uint64 { return DescSASLInit }

// Descriptor implements Performative.
func (*SASLChallenge) Descriptor() uint64 { return DescSASLChallenge }

// Descriptor implements Performative.
func (*SASLResponse) Descriptor() uint64 { return DescSASLResponse }

// Descriptor implements Performative.
func (*SASLOutcome) Descriptor() uint64 { return DescSASLOutcome }

func (p *SASLMechanisms) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescSASLMechanisms, "sasl-mechanisms")
	if len(p.Mechanisms) == 0 {
		w.Fail("sasl-server-mechanisms", "at least one mechanism is needed")
	}
	w.Symbols("sasl-server-mechanisms", p.Mechanisms, MaxSymbols)
	return w.Finish()
}

func (p *SASLMechanisms) decode(r *wire.Reader) error {
	f := r.Composite("sasl-mechanisms")
	*p = SASLMechanisms{Mechanisms: f.Symbols("sasl-server-mechanisms", MaxSymbols)}
	if len(p.Mechanisms) == 0 {
		f.Missing("sasl-server-mechanisms")
	}
	return f.End()
}

func (p *SASLInit) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescSASLInit, "sasl-init")
	w.MustSymbol("mechanism", p.Mechanism)
	w.Binary(p.InitialResponse)
	w.String("hostname", p.Hostname)
	return w.Finish()
}

func (p *SASLInit) decode(r *wire.Reader) error {
	f := r.Composite("sasl-init")
	mechanism, present := f.OptSymbol("mechanism")
	if !present {
		f.Missing("mechanism")
	}
	*p = SASLInit{Mechanism: mechanism, InitialResponse: f.Binary("initial-response"), Hostname: f.String("hostname").Value}
	return f.End()
}

func (p *SASLChallenge) append(dst []byte) ([]byte, error) {
	return appendSASLBytes(dst, DescSASLChallenge, p.Challenge)
}

func (p *SASLChallenge) decode(r *wire.Reader) (err error) {
	p.Challenge, err = readSASLBytes(r, "sasl-challenge", "challenge")
	return err
}

func (p *SASLResponse) append(dst []byte) ([]byte, error) {
	return appendSASLBytes(dst, DescSASLResponse, p.Response)
}

func (p *SASLResponse) decode(r *wire.Reader) (err error) {
	p.Response, err = readSASLBytes(r, "sasl-response", "response")
	return err
}

// appendSASLBytes writes the mandatory binary of a challenge or response: nil is an empty one.
func appendSASLBytes(dst []byte, descriptor uint64, b []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, descriptor, "")
	if b == nil {
		b = []byte{}
	}
	w.Binary(b)
	return w.Finish()
}

func readSASLBytes(r *wire.Reader, name, field string) ([]byte, error) {
	f := r.Composite(name)
	b := f.Binary(field)
	if b == nil {
		f.Missing(field)
	}
	return b, f.End()
}

func (p *SASLOutcome) append(dst []byte) ([]byte, error) {
	w := wire.NewFieldWriter(dst, DescSASLOutcome, "sasl-outcome")
	w.OptUbyte(Some(uint8(p.Code)))
	w.Binary(p.AdditionalData)
	return w.Finish()
}

func (p *SASLOutcome) decode(r *wire.Reader) error {
	f := r.Composite("sasl-outcome")
	code := f.Ubyte("code")
	if !code.Set {
		f.Missing("code")
	}
	if code.Value > uint8(SASLSysTempo) {
		f.Fail("code", wire.CondInvalidField, "it is 0 to 4")
	}
	*p = SASLOutcome{Code: SASLCode(code.Value), AdditionalData: f.Binary("additional-data")}
	return f.End()
}
