package access

// What a principal may carry. It is kept as long as the connection, and parts of it with each session and message, so whoever vouches for it does not
// decide how much that is. Beyond a limit the attempt is refused: to leave something out could leave out what a rule denies.
const (
	// NameMax bounds each name and each value of a claim, in bytes: the longest of what a URL or a distinguished name needs.
	NameMax = 512
	// GroupsMax bounds the groups. Large directories leave groups out of their tokens beyond 200.
	GroupsMax = 200
	// ClaimsMax bounds the claims, ClaimValuesMax the values of all of them together.
	ClaimsMax      = 64
	ClaimValuesMax = 256
	// SizeMax bounds all texts together, in bytes.
	SizeMax = 8192
	// ClientIDsMax bounds the templates of client identifiers.
	ClientIDsMax = 32
)
