package e2e

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

// hexText is bytes that are hexadecimal in JSON, which has no bytes.
type hexText string

func (h hexText) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, []byte(h)), nil }

func (h *hexText) UnmarshalText(text []byte) error {
	b, err := hex.AppendDecode(nil, text)
	*h = hexText(b)
	return err
}

func unhex(t *testing.T, s string) hexText {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatalf("%.100q: %v", s, err)
	}
	return hexText(b)
}

// orderedObject is "key:value" pairs as a JSON object that keeps their order; the values of a key that repeats become a list.
type orderedObject []string

func (o orderedObject) MarshalJSON() ([]byte, error) {
	var keys []string
	values := map[string][]string{}
	for _, pair := range o {
		key, value, _ := strings.Cut(pair, ":")
		if values[key] == nil {
			keys = append(keys, key)
		}
		values[key] = append(values[key], value)
	}
	var b bytes.Buffer
	for i, key := range keys {
		b.WriteByte("{,"[min(i, 1)])
		name, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		list, err := json.Marshal(values[key])
		if err != nil {
			return nil, err
		}
		b.Write(append(append(name, ':'), list...))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// flatten undoes orderedObject. A value may also be a plain text.
func flatten(t *testing.T, object json.RawMessage) (pairs []string) {
	t.Helper()
	if len(object) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(object))
	next := func(into any) {
		if err := d.Decode(into); err != nil {
			t.Fatalf("%s: %v", object, err)
		}
	}
	if _, err := d.Token(); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatalf("%s: %v", object, err)
		}
		var value any
		next(&value)
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}
		for _, v := range list {
			pairs = append(pairs, key.(string)+":"+v.(string))
		}
	}
	return pairs
}
