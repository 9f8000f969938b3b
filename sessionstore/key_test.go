package sessionstore_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/sessionstore"
)

func TestKeyIsReversibleAndUnambiguous(t *testing.T) {
	part := rapid.OneOf(rapid.String(), rapid.StringMatching(`[/%{}: 2F-]{0,4}`))
	draw := func(rt *rapid.T, name string) sessionstore.Key {
		return sessionstore.Key{
			Tenant: part.Draw(rt, name+" tenant"), Principal: part.Draw(rt, name+" principal"), ClientID: part.Draw(rt, name+" client id"),
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		a, b := draw(rt, "a"), draw(rt, "b")
		if (a == b) != (a.String() == b.String()) {
			rt.Fatalf("%q and %q: %s, %s", a, b, a, b)
		}
		if strings.ContainsAny(a.String(), "{} \n\x00") {
			rt.Fatalf("%q is not safe in a Redis key", a.String())
		}
		back, err := sessionstore.ParseKey(a.String())
		if a.Validate() == nil && (err != nil || back != a) {
			rt.Fatalf("%q came back as %q, %v", a, back, err)
		}
		if a.Validate() != nil && !errors.Is(err, sessionstore.ErrInvalid) {
			rt.Fatalf("%q: %v, want ErrInvalid", a, err)
		}
	})
}

func TestParseKeyRefusesOtherSpellings(t *testing.T) {
	for _, s := range []string{"", "a", "a/b", "a/b/c/d", "a/b/%zz", "a/b/%61", "a/b/%7b", "a/b/c d", "a/b/{", "a/b/"} {
		if k, err := sessionstore.ParseKey(s); !errors.Is(err, sessionstore.ErrInvalid) {
			t.Errorf("%q: %q, %v; want ErrInvalid", s, k, err)
		}
	}
	want := sessionstore.Key{ClientID: "c"}
	if k, err := sessionstore.ParseKey("//c"); err != nil || k != want {
		t.Errorf("//c: %q, %v", k, err)
	}
}
