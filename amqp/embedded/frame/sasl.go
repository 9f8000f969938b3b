package frame

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
