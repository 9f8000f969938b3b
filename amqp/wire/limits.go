package wire

// The limits of one decoded or encoded value. They hold for each value on its own; the size of a frame bounds their sum.
const (
	// MaxDepth is how deep lists, maps, arrays and described types may nest. Decoding recurses, so this bounds the stack. The deepest thing
	// the standard defines (attach, source, filter-set, described filter, list) needs 6.
	MaxDepth = 32

	// MaxElements is how many elements one list, map (keys and values both count) or array may have. A count is also checked against the
	// bytes that are left: an element needs at least one byte, save in an array of a zero-width type.
	MaxElements = 1 << 20

	// MaxZeroWidth is how many elements arrays of zero-width types (null, true, false, uint0, ulong0, list0) may have within one Reader,
	// all arrays together. Such elements need no bytes, so that the input cannot justify them. No peer known to us sends one.
	MaxZeroWidth = 256

	// preallocate is how many elements memory is taken for before they were seen. A count is no reason to take more: nested lists can all
	// claim the same bytes.
	preallocate = 32

	// MaxSize is the longest value, in bytes, that is encoded: more cannot be framed, since a frame's size is an uint32 and a container's
	// size counts itself.
	MaxSize = 1<<31 - 1
)
