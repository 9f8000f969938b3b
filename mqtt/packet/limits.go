package packet

const (
	// maxRemainingLength is the largest value of a Variable Byte Integer (MQTT 5, 1.5.5).
	maxRemainingLength = 268_435_455

	// MaxPacketSize is the largest packet that MQTT can express, in bytes: a first byte, four bytes of Remaining Length and
	// maxRemainingLength bytes (MQTT 5, 2.1.4). It bounds every limit given to a Reader.
	MaxPacketSize = 1 + 4 + maxRemainingLength

	// maxFieldBytes is the largest string or binary field: its length has two bytes (MQTT 5, 1.5.4 and 1.5.6).
	maxFieldBytes = 65_535

	// maxHeaderBytes is the longest fixed header: one byte of type and flags, four bytes of Remaining Length.
	maxHeaderBytes = 5

	// readBufferBytes is what an idle connection costs in the Reader. It takes some twenty small packets with one system
	// call, and stays well inside the 8 KiB that an idle connection may hold.
	readBufferBytes = 2 << 10

	// readStepBytes is the most that a Reader allocates on the word of a Remaining Length alone. Larger bodies get more
	// memory only after their bytes arrived, at most doubling, so a client that announces 256 KiB and sends nothing costs
	// this much and no more.
	readStepBytes = 64 << 10
)
