package packet

const (
	// maxRemainingLength is the largest value of a Variable Byte Integer (MQTT 5, 1.5.5).
	maxRemainingLength = 268_435_455

	// MaxPacketSize is the largest packet that MQTT can express, in bytes: a first byte, four bytes of Remaining Length and
	// maxRemainingLength bytes (MQTT 5, 2.1.4). It bounds every limit given to a Reader.
	MaxPacketSize = 1 + 4 + maxRemainingLength

	// maxFieldBytes is the largest string or binary field: its length has two bytes (MQTT 5, 1.5.4 and 1.5.6).
	maxFieldBytes = 65_535

	// UserPropertiesMax is how many User Properties a packet, or a Will, may have that is decoded. The shortest has five bytes on the wire and a hundred
	// and more in memory, so that without a bound a small packet would take fifty times its size.
	UserPropertiesMax = 1000

	// maxHeaderBytes is the longest fixed header: one byte of type and flags, four bytes of Remaining Length.
	maxHeaderBytes = 5

	// ownBufferBytes is what an idle connection costs in the Reader: room for a PUBLISH with a small payload, and a small part of the 8 KiB that an idle
	// connection may hold. largeBufferBytes is taken while more comes: some ten small packets with one system call. It is given up after spareReadsMax reads
	// in a row that did without: a device's next pings.
	ownBufferBytes   = 232
	largeBufferBytes = 2 << 10
	spareReadsMax    = 8

	// emptyReadsMax bounds the reads in a row that bring neither a byte nor an error.
	emptyReadsMax = 100

	// readStepBytes is the most that a Reader allocates on the word of a Remaining Length alone. Larger bodies get more
	// memory only after their bytes arrived, at most doubling, so a client that announces 256 KiB and sends nothing costs
	// this much and no more. It has room for 64 KiB of payload with its topic, the largest size that is common: that is then
	// read where it stays.
	readStepBytes = 66 << 10
)
