package mapping

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/amqp/message"
)

// canonical gives a simple AMQP value as text. exact is true when the text is the value itself (string), so that nothing is lost; ok
// is false for null and for values that have no text form (lists, maps, described types).
//
//	boolean                true, false
//	integers               decimal
//	float, double          shortest decimal that reads back as the same number; NaN, Infinity, -Infinity
//	timestamp              RFC 3339 in UTC with milliseconds: 2026-01-02T03:04:05.678Z
//	uuid                   lower case, 8-4-4-4-12
//	symbol                 its characters
//	binary                 base64 with padding (RFC 4648, 4)
func canonical(v any) (text string, exact, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true, true
	case message.Symbol:
		return string(v), false, true
	case bool:
		return strconv.FormatBool(v), false, true
	case float32:
		return floatText(float64(v), 32), false, true
	case float64:
		return floatText(v, 64), false, true
	case time.Time:
		return timeText(v), false, true
	case message.UUID:
		return uuidText(v), false, true
	case []byte:
		return base64.StdEncoding.EncodeToString(v), false, true
	}
	if i, ok := signed(v); ok {
		return strconv.FormatInt(i, 10), false, true
	}
	if u, ok := unsigned(v); ok {
		return strconv.FormatUint(u, 10), false, true
	}
	return "", false, false
}

func signed(v any) (int64, bool) {
	switch v := v.(type) {
	case int8:
		return int64(v), true
	case int16:
		return int64(v), true
	case int32:
		return int64(v), true
	case int64:
		return v, true
	}
	return 0, false
}

func unsigned(v any) (uint64, bool) {
	switch v := v.(type) {
	case uint8:
		return uint64(v), true
	case uint16:
		return uint64(v), true
	case uint32:
		return uint64(v), true
	case uint64:
		return v, true
	}
	return 0, false
}

// smallInteger reads an integer of any width that is at most limit. Backends choose whatever width their language prefers.
func smallInteger(v any, limit uint64) (byte, bool) {
	u, ok := unsigned(v)
	if i, isSigned := signed(v); isSigned && i >= 0 {
		u, ok = uint64(i), true
	}
	return byte(u), ok && u <= limit
}

// plainText reads a string or a symbol.
func plainText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case message.Symbol:
		return string(v), true
	}
	return "", false
}

func floatText(f float64, bits int) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(f, 'g', -1, bits)
}

func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func uuidText(u message.UUID) string {
	const digits = "0123456789abcdef"
	text := make([]byte, 0, 36)
	for i, b := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text = append(text, '-')
		}
		text = append(text, digits[b>>4], digits[b&15])
	}
	return string(text)
}

// mqttString reports why s is no UTF-8 string of MQTT [MQTT-1.5.4-1, MQTT-1.5.4-2]; empty when it is one.
func mqttString(s string) Reason {
	switch {
	case len(s) > maxMQTTString:
		return ReasonTooLong
	case strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s):
		return ReasonNotString
	}
	return ""
}
