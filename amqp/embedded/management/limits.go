package management

const (
	// maxListed bounds the bindings in one answer: an answer is one message, and with these it stays well below the usual size limits.
	maxListed = 10_000
)
