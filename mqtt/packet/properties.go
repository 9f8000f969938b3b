package packet

// UserProperty is one User Property. They are ordered and may repeat [MQTT-3.3.2-17, MQTT-3.3.2-18].
type UserProperty struct {
	Key, Value string
}

// PropertySet says which properties are present, one bit per property.
type PropertySet uint32

// One bit for each property of MQTT 5, table 2-4, that is not a list. User Properties and Subscription Identifiers are present when
// their slice is not empty.
const (
	PropPayloadFormat PropertySet = 1 << iota
	PropMessageExpiry
	PropContentType
	PropResponseTopic
	PropCorrelationData
	PropSessionExpiry
	PropAssignedClientID
	PropServerKeepAlive
	PropAuthMethod
	PropAuthData
	PropRequestProblemInfo
	PropWillDelay
	PropRequestResponseInfo
	PropResponseInfo
	PropServerReference
	PropReasonString
	PropReceiveMaximum
	PropTopicAliasMaximum
	PropTopicAlias
	PropMaximumQoS
	PropRetainAvailable
	PropMaximumPacketSize
	PropWildcardSubAvailable
	PropSubIDAvailable
	PropSharedSubAvailable
)

// Properties are the properties of any packet. A field counts only while its bit in Set is on; the Set... methods keep both
// in step. The zero value has none.
type Properties struct {
	Set PropertySet

	PayloadFormat        byte   // 0 bytes, 1 UTF-8
	MessageExpiry        uint32 // seconds
	ContentType          string
	ResponseTopic        string
	CorrelationData      []byte
	SubscriptionIDs      []uint32 // 1 to 268,435,455; many only in PUBLISH
	SessionExpiry        uint32   // seconds; 0xFFFFFFFF never
	AssignedClientID     string
	ServerKeepAlive      uint16 // seconds
	AuthMethod           string
	AuthData             []byte
	RequestProblemInfo   byte
	WillDelay            uint32 // seconds
	RequestResponseInfo  byte
	ResponseInfo         string
	ServerReference      string
	ReasonString         string
	ReceiveMaximum       uint16
	TopicAliasMaximum    uint16
	TopicAlias           uint16
	MaximumQoS           byte
	RetainAvailable      byte
	User                 []UserProperty
	MaximumPacketSize    uint32 // bytes, whole packet
	WildcardSubAvailable byte
	SubIDAvailable       byte
	SharedSubAvailable   byte
}

// Has reports whether every property of s is present. A nil p has none.
func (p *Properties) Has(s PropertySet) bool { return p != nil && p.Set&s == s }

// Empty reports whether there is no property at all, as of a nil p.
func (p *Properties) Empty() bool {
	return p == nil || p.Set == 0 && len(p.User) == 0 && len(p.SubscriptionIDs) == 0
}

// Clear removes the properties of s.
func (p *Properties) Clear(s PropertySet) { p.Set &^= s }

// Reset removes all properties. The memory of User and SubscriptionIDs is kept for reuse.
func (p *Properties) Reset() {
	if p.Empty() {
		// The fields behind absent bits may be stale, but they count for nothing.
		p.User, p.SubscriptionIDs = p.User[:0], p.SubscriptionIDs[:0]
		return
	}
	clear(p.User) // their strings would hold the last packet's buffer
	*p = Properties{User: p.User[:0], SubscriptionIDs: p.SubscriptionIDs[:0]}
}

// AddUser appends a User Property. Order and repeats are kept.
func (p *Properties) AddUser(key, value string) {
	p.User = append(p.User, UserProperty{Key: key, Value: value})
}

// AddSubscriptionID appends a Subscription Identifier, 1 to 268,435,455.
func (p *Properties) AddSubscriptionID(id uint32) {
	p.SubscriptionIDs = append(p.SubscriptionIDs, id)
}
