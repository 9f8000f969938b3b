package packet

// The codec sees a property as one of a number, a text or bytes. store and load are the one place that joins that view to
// the fields of Properties.

// store sets the field of bit and the bit.
func (p *Properties) store(bit PropertySet, n uint32, s string, b []byte) {
	p.Set |= bit
	switch bit {
	case PropPayloadFormat:
		p.PayloadFormat = byte(n)
	case PropMessageExpiry:
		p.MessageExpiry = n
	case PropContentType:
		p.ContentType = s
	case PropResponseTopic:
		p.ResponseTopic = s
	case PropCorrelationData:
		p.CorrelationData = b
	case PropSessionExpiry:
		p.SessionExpiry = n
	case PropAssignedClientID:
		p.AssignedClientID = s
	case PropServerKeepAlive:
		p.ServerKeepAlive = uint16(n)
	case PropAuthMethod:
		p.AuthMethod = s
	case PropAuthData:
		p.AuthData = b
	case PropRequestProblemInfo:
		p.RequestProblemInfo = byte(n)
	case PropWillDelay:
		p.WillDelay = n
	case PropRequestResponseInfo:
		p.RequestResponseInfo = byte(n)
	case PropResponseInfo:
		p.ResponseInfo = s
	case PropServerReference:
		p.ServerReference = s
	case PropReasonString:
		p.ReasonString = s
	case PropReceiveMaximum:
		p.ReceiveMaximum = uint16(n)
	case PropTopicAliasMaximum:
		p.TopicAliasMaximum = uint16(n)
	case PropTopicAlias:
		p.TopicAlias = uint16(n)
	case PropMaximumQoS:
		p.MaximumQoS = byte(n)
	case PropRetainAvailable:
		p.RetainAvailable = byte(n)
	case PropMaximumPacketSize:
		p.MaximumPacketSize = n
	case PropWildcardSubAvailable:
		p.WildcardSubAvailable = byte(n)
	case PropSubIDAvailable:
		p.SubIDAvailable = byte(n)
	case PropSharedSubAvailable:
		p.SharedSubAvailable = byte(n)
	}
}

// load gives the field of bit.
func (p *Properties) load(bit PropertySet) (n uint32, s string, b []byte) {
	switch bit {
	case PropPayloadFormat:
		return uint32(p.PayloadFormat), "", nil
	case PropMessageExpiry:
		return p.MessageExpiry, "", nil
	case PropContentType:
		return 0, p.ContentType, nil
	case PropResponseTopic:
		return 0, p.ResponseTopic, nil
	case PropCorrelationData:
		return 0, "", p.CorrelationData
	case PropSessionExpiry:
		return p.SessionExpiry, "", nil
	case PropAssignedClientID:
		return 0, p.AssignedClientID, nil
	case PropServerKeepAlive:
		return uint32(p.ServerKeepAlive), "", nil
	case PropAuthMethod:
		return 0, p.AuthMethod, nil
	case PropAuthData:
		return 0, "", p.AuthData
	case PropRequestProblemInfo:
		return uint32(p.RequestProblemInfo), "", nil
	case PropWillDelay:
		return p.WillDelay, "", nil
	case PropRequestResponseInfo:
		return uint32(p.RequestResponseInfo), "", nil
	case PropResponseInfo:
		return 0, p.ResponseInfo, nil
	case PropServerReference:
		return 0, p.ServerReference, nil
	case PropReasonString:
		return 0, p.ReasonString, nil
	case PropReceiveMaximum:
		return uint32(p.ReceiveMaximum), "", nil
	case PropTopicAliasMaximum:
		return uint32(p.TopicAliasMaximum), "", nil
	case PropTopicAlias:
		return uint32(p.TopicAlias), "", nil
	case PropMaximumQoS:
		return uint32(p.MaximumQoS), "", nil
	case PropRetainAvailable:
		return uint32(p.RetainAvailable), "", nil
	case PropMaximumPacketSize:
		return p.MaximumPacketSize, "", nil
	case PropWildcardSubAvailable:
		return uint32(p.WildcardSubAvailable), "", nil
	case PropSubIDAvailable:
		return uint32(p.SubIDAvailable), "", nil
	case PropSharedSubAvailable:
		return uint32(p.SharedSubAvailable), "", nil
	}
	return 0, "", nil
}
