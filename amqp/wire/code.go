package wire

// Code is a primitive format code: the constructor byte in front of a value [AMQP 1.2, 1.6].
type Code byte

// The format codes of all primitive types.
const (
	CodeDescribed  Code = 0x00
	CodeNull       Code = 0x40
	CodeTrue       Code = 0x41
	CodeFalse      Code = 0x42
	CodeUint0      Code = 0x43
	CodeUlong0     Code = 0x44
	CodeList0      Code = 0x45
	CodeUbyte      Code = 0x50
	CodeByte       Code = 0x51
	CodeSmallUint  Code = 0x52
	CodeSmallUlong Code = 0x53
	CodeSmallInt   Code = 0x54
	CodeSmallLong  Code = 0x55
	CodeBoolean    Code = 0x56
	CodeUshort     Code = 0x60
	CodeShort      Code = 0x61
	CodeUint       Code = 0x70
	CodeInt        Code = 0x71
	CodeFloat      Code = 0x72
	CodeChar       Code = 0x73
	CodeDecimal32  Code = 0x74
	CodeUlong      Code = 0x80
	CodeLong       Code = 0x81
	CodeDouble     Code = 0x82
	CodeTimestamp  Code = 0x83
	CodeDecimal64  Code = 0x84
	CodeDecimal128 Code = 0x94
	CodeUUID       Code = 0x98
	CodeBinary8    Code = 0xa0
	CodeString8    Code = 0xa1
	CodeSymbol8    Code = 0xa3
	CodeBinary32   Code = 0xb0
	CodeString32   Code = 0xb1
	CodeSymbol32   Code = 0xb3
	CodeList8      Code = 0xc0
	CodeMap8       Code = 0xc1
	CodeList32     Code = 0xd0
	CodeMap32      Code = 0xd1
	CodeArray8     Code = 0xe0
	CodeArray32    Code = 0xf0
)
