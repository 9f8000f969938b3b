package session

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"sluice/mqtt/packet"
	"sluice/mqtt/topic"
)

// bagMark parts a topic name from the property bag behind it. Its last level begins with '?', which is an ordinary character to MQTT: so the bag has to be
// switched on.
const bagMark = "/?"

// bagProperties are the properties that a bag can name. Any other name is that of a User Property.
var bagProperties = map[string]packet.PropertySet{
	"content-type":   packet.PropContentType,
	"correlation-id": packet.PropCorrelationData, // any bytes
	"response-topic": packet.PropResponseTopic,
	"expiry":         packet.PropMessageExpiry, // seconds
	"payload-format": packet.PropPayloadFormat,
}

// openBag gives an MQTT 3.1.1 device the properties of an MQTT 5 PUBLISH: they are behind the topic name, as
// "plant/7/temp/?content-type=application%2Fjson&unit=C". Names and values are percent-encoded (RFC 3986, 2.1). The topic that anybody else sees has
// no bag. What is not well-formed is refused: to take it for a topic would send the message where nobody waits for it.
func openBag(name *string, p *packet.Properties) *packet.Error {
	before, bag, found := strings.Cut(*name, bagMark)
	if !found {
		return nil
	}
	malformed := func(format string, args ...any) *packet.Error {
		return violation(packet.TopicNameInvalid, "", "the property bag behind the topic is malformed: "+fmt.Sprintf(format, args...))
	}
	switch {
	case before == "":
		return malformed("there is no topic before it")
	case strings.Contains(bag, bagMark):
		return malformed("%q is there twice; write %%3F for a ? in a name or value", bagMark)
	}
	for len(bag) > 0 {
		var pair string
		var more bool
		pair, bag, more = strings.Cut(bag, "&")
		if more && bag == "" {
			return malformed("there is nothing behind the last &")
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return malformed("%q is not NAME=VALUE", pair)
		}
		var err error
		if key, err = unescape(key); err != nil {
			return malformed("the name %q: %v", key, err)
		}
		if value, err = unescape(value); err != nil {
			return malformed("the value of %q: %v", key, err)
		}
		if problem := put(p, key, value); problem != "" {
			return malformed("%q %s", key, problem)
		}
	}
	*name = before
	return nil
}

// put adds one property. The problem is empty, or says what is wrong with it.
func put(p *packet.Properties, key, value string) (problem string) {
	property := bagProperties[key]
	switch {
	case !isText(key) || property != packet.PropCorrelationData && !isText(value):
		return "is no UTF-8 text without U+0000"
	case property != 0 && p.Has(property):
		return "is there twice"
	}
	switch property {
	case packet.PropContentType:
		p.SetContentType(value)
	case packet.PropCorrelationData:
		p.SetCorrelationData([]byte(value))
	case packet.PropResponseTopic:
		if err := topic.ValidateName(value); err != nil {
			return "is no topic name: " + err.Error()
		}
		p.SetResponseTopic(value)
	case packet.PropMessageExpiry:
		seconds, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return "is no number of seconds from 0 to 4294967295"
		}
		p.SetMessageExpiry(uint32(seconds))
	case packet.PropPayloadFormat:
		if value != "0" && value != "1" {
			return "is neither 0 (bytes) nor 1 (UTF-8 text)"
		}
		p.SetPayloadFormat(value[0] - '0')
	default:
		if len(p.User) == packet.UserPropertiesMax {
			return fmt.Sprintf("is one User Property too many; there may be %d", packet.UserPropertiesMax)
		}
		p.AddUser(key, value)
	}
	return ""
}

// isText reports whether s is a string of MQTT [MQTT-1.5.4-1, MQTT-1.5.4-2].
func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// unescape undoes percent-encoding. On error it gives s back.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) {
			return s, fmt.Errorf("a %% at its end begins no escape; write %%25 for a percent sign")
		}
		b, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return s, fmt.Errorf("%q is no escape; write %%25 for a percent sign", s[i:i+3])
		}
		out = append(out, byte(b))
		i += 2
	}
	return string(out), nil
}
