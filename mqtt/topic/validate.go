package topic

import (
	"strings"
	"unicode/utf8"
)

// Error says why a name or filter is invalid. It quotes nothing of the topic, so its text may be shown to anyone.
//
// An invalid name is answered with 0x90 (Topic Name invalid), an invalid filter with 0x8F (Topic Filter invalid). ErrUTF8 and ErrNUL
// make the packet malformed instead (0x81) [MQTT-1.5.4-1, MQTT-1.5.4-2]; the packet codec finds these first.
type Error struct {
	Clause string // the normative statement
	Text   string // the rule as a sentence
}

func (e *Error) Error() string { return e.Text + " [" + e.Clause + "]" }

// The reasons for which a name or filter is invalid.
var (
	ErrEmpty     = &Error{"MQTT-4.7.3-1", "a topic name or filter needs at least one character"}
	ErrNUL       = &Error{"MQTT-4.7.3-2", "a topic name or filter must not contain the null character U+0000"}
	ErrTooLong   = &Error{"MQTT-4.7.3-3", "a topic name or filter must not be longer than 65,535 bytes"}
	ErrUTF8      = &Error{"MQTT-1.5.4-1", "a topic name or filter must be well-formed UTF-8"}
	ErrWildcard  = &Error{"MQTT-4.7.0-1", "a topic name must not contain the wildcards + and #"}
	ErrHash      = &Error{"MQTT-4.7.1-1", "# must be the last character of a filter and stand alone in its level"}
	ErrPlus      = &Error{"MQTT-4.7.1-2", "+ must stand alone in its level"}
	ErrShareName = &Error{"MQTT-4.8.2-1, MQTT-4.8.2-2", "a share name needs at least one character and must not contain + or #"}
	ErrShareRest = &Error{"MQTT-4.8.2-2", "$share/name must be followed by / and a topic filter"}
)

// ValidateName reports why s is no topic name that a message can be published to; nil when it is one. The error is an *Error.
func ValidateName(s string) error {
	if err := validateText(s); err != nil {
		return err
	}
	if strings.IndexByte(s, '+') >= 0 || strings.IndexByte(s, '#') >= 0 {
		return ErrWildcard
	}
	return nil
}

// ValidateFilter reports why s is no topic filter; nil when it is one. A filter that begins with "$share/" is a shared
// subscription, in MQTT 3.1.1 too, and must be a well-formed one. The error is an *Error.
func ValidateFilter(s string) error {
	if err := validateText(s); err != nil {
		return err
	}
	if IsShared(s) {
		var err *Error
		if _, s, err = splitShared(s); err != nil {
			return err
		}
	}
	return validateLevels(s)
}

const sharePrefix = "$share/"

// IsShared reports whether a filter asks for a shared subscription, well-formed or not (MQTT 5, 4.8.2). "$share" alone does not.
func IsShared(filter string) bool { return strings.HasPrefix(filter, sharePrefix) }

// Shared splits a shared subscription "$share/group/rest" [MQTT-4.8.2-1]. ok is false when the filter is not shared or is not
// well-formed; IsShared tells the two apart. Names are matched against rest.
func Shared(filter string) (group, rest string, ok bool) {
	if !IsShared(filter) {
		return "", "", false
	}
	group, rest, err := splitShared(filter)
	if err != nil || validateText(rest) != nil || validateLevels(rest) != nil {
		return "", "", false
	}
	return group, rest, true
}

// splitShared takes a filter with the share prefix apart. It does not look into rest, except that it is there.
func splitShared(filter string) (group, rest string, err *Error) {
	group, rest, more := strings.Cut(filter[len(sharePrefix):], "/")
	if group == "" || strings.ContainsAny(group, "+#") {
		return "", "", ErrShareName
	}
	if !more || rest == "" {
		return "", "", ErrShareRest
	}
	return group, rest, nil
}

// validateText checks what names and filters have in common. It returns error, not *Error, so that nil stays nil.
func validateText(s string) error {
	switch {
	case s == "":
		return ErrEmpty
	case len(s) > MaxLength:
		return ErrTooLong
	case strings.IndexByte(s, 0) >= 0:
		return ErrNUL
	case !utf8.ValidString(s):
		return ErrUTF8
	}
	return nil
}

// validateLevels checks where the wildcards of a filter stand.
func validateLevels(filter string) error {
	for {
		level, rest, more := strings.Cut(filter, "/")
		if strings.IndexByte(level, '#') >= 0 && (level != "#" || more) {
			return ErrHash
		}
		if strings.IndexByte(level, '+') >= 0 && level != "+" {
			return ErrPlus
		}
		if !more {
			return nil
		}
		filter = rest
	}
}
