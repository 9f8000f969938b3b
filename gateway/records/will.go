package records

import (
	"encoding/json"
	"errors"

	"sluice/gateway/access"
	"sluice/mqtt/packet"
)

// willOwner is what rules may ask of the device besides its session's key, as it was at CONNECT.
type willOwner struct {
	Groups []string            `json:"groups,omitempty"`
	Claims map[string][]string `json:"claims,omitempty"`
}

// EncodeWill is a Will Message as the store keeps it: EncodePublish, and behind it the groups and claims of its device, if it has any, as JSON. Whoever
// publishes it asks anew whether the device may.
func EncodeWill(p *packet.Publish, who *access.Principal) ([]byte, error) {
	b, err := EncodePublish(p)
	if err != nil || len(who.Groups)+len(who.Claims) == 0 {
		return b, err
	}
	owner, err := json.Marshal(willOwner{who.Groups, who.Claims})
	return append(b, owner...), err
}

// DecodeWill is the reverse. The packet shares memory with b; the principal has no name.
func DecodeWill(b []byte) (*packet.Publish, *access.Principal, error) {
	h, n, err := packet.ParseHeader(b)
	if err != nil {
		return nil, nil, err
	}
	if n == 0 || len(b) < n+h.Length {
		return nil, nil, errors.New("what is stored is no PUBLISH packet")
	}
	end := n + h.Length
	p, err := DecodePublish(b[:end])
	if err != nil {
		return nil, nil, err
	}
	var owner willOwner
	if len(b) > end {
		if err := json.Unmarshal(b[end:], &owner); err != nil {
			return nil, nil, err
		}
	}
	return p, &access.Principal{Groups: owner.Groups, Claims: owner.Claims}, nil
}
