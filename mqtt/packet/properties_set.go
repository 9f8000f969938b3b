package packet

// The setters keep a field and its bit in Set in step. They do not check values: Append does, with an error that names the
// property.

// SetPayloadFormat sets the Payload Format Indicator: 0 bytes, 1 UTF-8.
func (p *Properties) SetPayloadFormat(f byte) {
	p.PayloadFormat = f
	p.Set |= PropPayloadFormat
}

// SetMessageExpiry sets the Message Expiry Interval in seconds.
func (p *Properties) SetMessageExpiry(n uint32) {
	p.MessageExpiry = n
	p.Set |= PropMessageExpiry
}

// SetContentType sets the Content Type.
func (p *Properties) SetContentType(s string) {
	p.ContentType = s
	p.Set |= PropContentType
}

// SetResponseTopic sets the Response Topic, a topic name without wildcards [MQTT-3.3.2-14].
func (p *Properties) SetResponseTopic(s string) {
	p.ResponseTopic = s
	p.Set |= PropResponseTopic
}

// SetCorrelationData sets the Correlation Data.
func (p *Properties) SetCorrelationData(b []byte) {
	p.CorrelationData = b
	p.Set |= PropCorrelationData
}

// SetSessionExpiry sets the Session Expiry Interval in seconds; 0xFFFFFFFF is never.
func (p *Properties) SetSessionExpiry(n uint32) {
	p.SessionExpiry = n
	p.Set |= PropSessionExpiry
}

// SetAssignedClientID sets the Assigned Client Identifier.
func (p *Properties) SetAssignedClientID(s string) {
	p.AssignedClientID = s
	p.Set |= PropAssignedClientID
}

// SetServerKeepAlive sets the Server Keep Alive in seconds.
func (p *Properties) SetServerKeepAlive(n uint16) {
	p.ServerKeepAlive = n
	p.Set |= PropServerKeepAlive
}

// SetAuthMethod sets the Authentication Method.
func (p *Properties) SetAuthMethod(s string) {
	p.AuthMethod = s
	p.Set |= PropAuthMethod
}

// SetAuthData sets the Authentication Data; the Authentication Method must be there too.
func (p *Properties) SetAuthData(b []byte) {
	p.AuthData = b
	p.Set |= PropAuthData
}

// SetRequestProblemInfo sets the Request Problem Information.
func (p *Properties) SetRequestProblemInfo(on bool) {
	p.RequestProblemInfo = oneIf(on)
	p.Set |= PropRequestProblemInfo
}

// SetWillDelay sets the Will Delay Interval in seconds.
func (p *Properties) SetWillDelay(n uint32) {
	p.WillDelay = n
	p.Set |= PropWillDelay
}

// SetRequestResponseInfo sets the Request Response Information.
func (p *Properties) SetRequestResponseInfo(on bool) {
	p.RequestResponseInfo = oneIf(on)
	p.Set |= PropRequestResponseInfo
}

// SetResponseInfo sets the Response Information.
func (p *Properties) SetResponseInfo(s string) {
	p.ResponseInfo = s
	p.Set |= PropResponseInfo
}

// SetServerReference sets the Server Reference.
func (p *Properties) SetServerReference(s string) {
	p.ServerReference = s
	p.Set |= PropServerReference
}

// SetReasonString sets the Reason String, for people only.
func (p *Properties) SetReasonString(s string) {
	p.ReasonString = s
	p.Set |= PropReasonString
}

// SetReceiveMaximum sets the Receive Maximum, not 0.
func (p *Properties) SetReceiveMaximum(n uint16) {
	p.ReceiveMaximum = n
	p.Set |= PropReceiveMaximum
}

// SetTopicAliasMaximum sets the Topic Alias Maximum.
func (p *Properties) SetTopicAliasMaximum(n uint16) {
	p.TopicAliasMaximum = n
	p.Set |= PropTopicAliasMaximum
}

// SetTopicAlias sets the Topic Alias, not 0 [MQTT-3.3.2-8].
func (p *Properties) SetTopicAlias(n uint16) {
	p.TopicAlias = n
	p.Set |= PropTopicAlias
}

// SetMaximumQoS sets the Maximum QoS, 0 or 1; 2 is said by leaving it out.
func (p *Properties) SetMaximumQoS(q QoS) {
	p.MaximumQoS = byte(q)
	p.Set |= PropMaximumQoS
}

// SetRetainAvailable sets the Retain Available flag.
func (p *Properties) SetRetainAvailable(on bool) {
	p.RetainAvailable = oneIf(on)
	p.Set |= PropRetainAvailable
}

// SetMaximumPacketSize sets the Maximum Packet Size in bytes of the whole packet, not 0.
func (p *Properties) SetMaximumPacketSize(n uint32) {
	p.MaximumPacketSize = n
	p.Set |= PropMaximumPacketSize
}

// SetWildcardSubAvailable sets the Wildcard Subscription Available flag.
func (p *Properties) SetWildcardSubAvailable(on bool) {
	p.WildcardSubAvailable = oneIf(on)
	p.Set |= PropWildcardSubAvailable
}

// SetSubIDAvailable sets the Subscription Identifier Available flag.
func (p *Properties) SetSubIDAvailable(on bool) {
	p.SubIDAvailable = oneIf(on)
	p.Set |= PropSubIDAvailable
}

// SetSharedSubAvailable sets the Shared Subscription Available flag.
func (p *Properties) SetSharedSubAvailable(on bool) {
	p.SharedSubAvailable = oneIf(on)
	p.Set |= PropSharedSubAvailable
}

func oneIf(on bool) byte {
	if on {
		return 1
	}
	return 0
}
