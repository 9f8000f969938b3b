package wire

// Kind is a primitive type, whatever the width of its encoding. Kinds are bits, so that a field can name all that it takes.
type Kind uint32

// The primitive types [AMQP 1.6], and described types.
const (
	KindNull Kind = 1 << iota
	KindBoolean
	KindUbyte
	KindUshort
	KindUint
	KindUlong
	KindByte
	KindShort
	KindInt
	KindLong
	KindFloat
	KindDouble
	KindDecimal32
	KindDecimal64
	KindDecimal128
	KindChar
	KindTimestamp
	KindUUID
	KindBinary
	KindString
	KindSymbol
	KindList
	KindMap
	KindArray
	KindDescribed

	// KindAny is all of them.
	KindAny = KindDescribed<<1 - 1
)

// codeInfo is what a format code says about the bytes behind it.
type codeInfo struct {
	kind Kind
	full Code // the code of the same type that can carry every value of it, as arrays need
}

// codes has a zero kind where a code is not assigned by the standard.
var codes = [256]codeInfo{
	CodeDescribed: {KindDescribed, CodeDescribed},
	CodeNull:      {KindNull, CodeNull},
	CodeTrue:      {KindBoolean, CodeBoolean}, CodeFalse: {KindBoolean, CodeBoolean}, CodeBoolean: {KindBoolean, CodeBoolean},
	CodeUbyte: {KindUbyte, CodeUbyte}, CodeUshort: {KindUshort, CodeUshort},
	CodeUint: {KindUint, CodeUint}, CodeSmallUint: {KindUint, CodeUint}, CodeUint0: {KindUint, CodeUint},
	CodeUlong: {KindUlong, CodeUlong}, CodeSmallUlong: {KindUlong, CodeUlong}, CodeUlong0: {KindUlong, CodeUlong},
	CodeByte: {KindByte, CodeByte}, CodeShort: {KindShort, CodeShort},
	CodeInt: {KindInt, CodeInt}, CodeSmallInt: {KindInt, CodeInt},
	CodeLong: {KindLong, CodeLong}, CodeSmallLong: {KindLong, CodeLong},
	CodeFloat: {KindFloat, CodeFloat}, CodeDouble: {KindDouble, CodeDouble},
	CodeDecimal32: {KindDecimal32, CodeDecimal32}, CodeDecimal64: {KindDecimal64, CodeDecimal64},
	CodeDecimal128: {KindDecimal128, CodeDecimal128},
	CodeChar:       {KindChar, CodeChar}, CodeTimestamp: {KindTimestamp, CodeTimestamp}, CodeUUID: {KindUUID, CodeUUID},
	CodeBinary8: {KindBinary, CodeBinary32}, CodeBinary32: {KindBinary, CodeBinary32},
	CodeString8: {KindString, CodeString32}, CodeString32: {KindString, CodeString32},
	CodeSymbol8: {KindSymbol, CodeSymbol32}, CodeSymbol32: {KindSymbol, CodeSymbol32},
	CodeList0: {KindList, CodeList32}, CodeList8: {KindList, CodeList32}, CodeList32: {KindList, CodeList32},
	CodeMap8: {KindMap, CodeMap32}, CodeMap32: {KindMap, CodeMap32},
	CodeArray8: {KindArray, CodeArray32}, CodeArray32: {KindArray, CodeArray32},
}

var kindNames = map[Kind]string{
	KindNull: "null", KindBoolean: "boolean", KindUbyte: "ubyte", KindUshort: "ushort", KindUint: "uint", KindUlong: "ulong",
	KindByte: "byte", KindShort: "short", KindInt: "int", KindLong: "long", KindFloat: "float", KindDouble: "double",
	KindDecimal32: "decimal32", KindDecimal64: "decimal64", KindDecimal128: "decimal128", KindChar: "char",
	KindTimestamp: "timestamp", KindUUID: "uuid", KindBinary: "binary", KindString: "string", KindSymbol: "symbol",
	KindList: "list", KindMap: "map", KindArray: "array", KindDescribed: "described value",
}

// String names the kind as the standard does; several kinds are joined by "or".
func (k Kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	s := ""
	for bit := KindNull; bit <= KindDescribed; bit <<= 1 {
		if k&bit != 0 {
			if s != "" {
				s += " or "
			}
			s += kindNames[bit]
		}
	}
	return s
}

// Kind gives the type that c encodes; zero when the standard assigns none.
func (c Code) Kind() Kind { return codes[c].kind }

// The classes of encodings, by a code's high nibble [AMQP 1.2]: how the length of what follows is known.
const (
	classZero       = 0x4
	classOne        = 0x5
	classTwo        = 0x6
	classFour       = 0x7
	classEight      = 0x8
	classSixteen    = 0x9
	classVariable8  = 0xa
	classVariable32 = 0xb
	classCompound8  = 0xc
	classCompound32 = 0xd
	classArray8     = 0xe
	classArray32    = 0xf
)

func (c Code) class() byte { return byte(c) >> 4 }

// minWidth is the fewest bytes that a value can take behind c, its size and count included. It bounds an array's count by its bytes.
func (c Code) minWidth() int {
	switch c.class() {
	case classOne, classVariable8:
		return 1
	case classTwo, classCompound8:
		return 2
	case classArray8:
		return 3
	case classFour, classVariable32:
		return 4
	case classEight, classCompound32:
		return 8
	case classArray32:
		return 9
	case classSixteen:
		return 16
	}
	return 0
}
