package frame

// The numeric descriptors of the composite types (domain 0x00000000).
const (
	DescOpen           uint64 = 0x10
	DescBegin          uint64 = 0x11
	DescAttach         uint64 = 0x12
	DescFlow           uint64 = 0x13
	DescTransfer       uint64 = 0x14
	DescDisposition    uint64 = 0x15
	DescDetach         uint64 = 0x16
	DescEnd            uint64 = 0x17
	DescClose          uint64 = 0x18
	DescError          uint64 = 0x1d
	DescReceived       uint64 = 0x23
	DescAccepted       uint64 = 0x24
	DescRejected       uint64 = 0x25
	DescReleased       uint64 = 0x26
	DescModified       uint64 = 0x27
	DescSource         uint64 = 0x28
	DescTarget         uint64 = 0x29
	DescCoordinator    uint64 = 0x30
	DescSASLMechanisms uint64 = 0x40
	DescSASLInit       uint64 = 0x41
	DescSASLChallenge  uint64 = 0x42
	DescSASLResponse   uint64 = 0x43
	DescSASLOutcome    uint64 = 0x44
)
