package adminport

const (
	// tokenMin is the least length of a token, in characters: 192 bits in base64. It cannot be found by trying, so attempts need not be slowed.
	tokenMin = 32
	// tokensMax and tokenFileMax bound the file: a few people and programs, each with an old and a new token.
	tokensMax    = 100
	tokenFileMax = 64 << 10
	// ConnectionsMax bounds the connections: those who scrape, look whether the node lives, and administrate are a handful, and each connection may take a goroutine and some
	// 10 KiB, more with TLS.
	ConnectionsMax = 256
)
