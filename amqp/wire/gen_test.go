package wire

import (
	"math"
	"time"

	"pgregory.net/rapid"

	"sluice/amqp/message"
)

// genScalar draws a value that holds no others, of each of AMQP's types.
func genScalar() *rapid.Generator[any] {
	symbol := rapid.StringMatching(`[ -~]{0,300}`)
	return rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Bool().AsAny(),
		rapid.Uint8().AsAny(), rapid.Uint16().AsAny(), rapid.Uint32().AsAny(), rapid.Uint64().AsAny(),
		rapid.Int8().AsAny(), rapid.Int16().AsAny(), rapid.Int32().AsAny(), rapid.Int64().AsAny(),
		rapid.Float32().AsAny(), rapid.Float64().AsAny(),
		rapid.Custom(func(t *rapid.T) any { return Char(rapid.Rune().Draw(t, "char")) }),
		rapid.Custom(func(t *rapid.T) any {
			return time.UnixMilli(rapid.Int64Range(math.MinInt64, math.MaxInt64).Draw(t, "ms")).UTC()
		}),
		rapid.Custom(func(t *rapid.T) any {
			return message.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid"))
		}),
		rapid.Custom(func(t *rapid.T) any {
			return Decimal32(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "decimal32"))
		}),
		rapid.Custom(func(t *rapid.T) any {
			return Decimal64(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "decimal64"))
		}),
		rapid.Custom(func(t *rapid.T) any {
			return Decimal128(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "decimal128"))
		}),
		rapid.SliceOfN(rapid.Byte(), 0, 300).AsAny(),
		rapid.StringN(0, 300, -1).AsAny(),
		rapid.Custom(func(t *rapid.T) any { return message.Symbol(symbol.Draw(t, "symbol")) }),
	)
}

// genValue draws any value, nested up to depth.
func genValue(depth int) *rapid.Generator[any] {
	if depth == 0 {
		return genScalar()
	}
	inner := genValue(depth - 1)
	return rapid.OneOf(
		genScalar(),
		rapid.SliceOfN(inner, 0, 5).AsAny(),
		rapid.Custom(func(t *rapid.T) any { return genMap(depth).Draw(t, "map") }),
		rapid.Custom(func(t *rapid.T) any {
			return message.Described{Descriptor: inner.Draw(t, "descriptor"), Value: inner.Draw(t, "value")}
		}),
		genArray(depth),
	)
}

func genMap(depth int) *rapid.Generator[Map] {
	inner := genValue(depth - 1)
	return rapid.Custom(func(t *rapid.T) Map {
		m := Map{}
		for range rapid.IntRange(0, 5).Draw(t, "entries") {
			m = append(m, Pair{Key: inner.Draw(t, "key"), Value: inner.Draw(t, "value")})
		}
		return m
	})
}

func genArray(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		a := Array{Elements: []any{}}
		if rapid.Bool().Draw(t, "described") {
			a.Described, a.Descriptor = true, genValue(depth-1).Draw(t, "descriptor")
		}
		var elements *rapid.Generator[any]
		switch rapid.IntRange(0, 6).Draw(t, "type") {
		case 0:
			a.Type, elements = CodeBoolean, rapid.Bool().AsAny()
		case 1:
			a.Type, elements = CodeUint, rapid.Uint32().AsAny()
		case 2:
			a.Type, elements = CodeString32, rapid.StringN(0, 300, -1).AsAny()
		case 3:
			a.Type, elements = CodeNull, rapid.Just[any](nil)
		case 4:
			a.Type, elements = CodeList32, rapid.SliceOfN(genScalar(), 0, 3).AsAny()
		case 5:
			a.Type, elements = CodeMap32, rapid.Custom(func(t *rapid.T) any { return genMap(1).Draw(t, "element") })
		case 6:
			a.Type = CodeArray32
			elements = rapid.Custom(func(t *rapid.T) any {
				return Array{Type: CodeLong, Elements: rapid.SliceOfN(rapid.Int64().AsAny(), 0, 4).Draw(t, "element")}
			})
		}
		a.Elements = append(a.Elements, rapid.SliceOfN(elements, 0, 5).Draw(t, "elements")...)
		return a
	})
}
