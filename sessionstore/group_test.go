package sessionstore_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sluice/sessionstore"
)

func TestGroupIsReversibleAndUnambiguous(t *testing.T) {
	part := rapid.OneOf(rapid.String(), rapid.StringMatching(`[/%{}: 2F-]{0,4}`))
	draw := func(rt *rapid.T, name string) sessionstore.Group {
		return sessionstore.Group{Tenant: part.Draw(rt, name+" tenant"), Filter: part.Draw(rt, name+" filter")}
	}
	rapid.Check(t, func(rt *rapid.T) {
		a, b := draw(rt, "a"), draw(rt, "b")
		if (a == b) != (a.String() == b.String()) {
			rt.Fatalf("%q and %q: %s, %s", a, b, a, b)
		}
		if strings.ContainsAny(a.String(), "{} \n\x00") {
			rt.Fatalf("%q is not safe in a Redis key", a.String())
		}
		back, err := sessionstore.ParseGroup(a.String())
		if a.Validate() == nil && (err != nil || back != a) {
			rt.Fatalf("%q came back as %q, %v", a, back, err)
		}
		if a.Validate() != nil && !errors.Is(err, sessionstore.ErrInvalid) {
			rt.Fatalf("%q: %v, want ErrInvalid", a, err)
		}
	})
	for _, s := range []string{"", "a", "a/b/c", "a/%zz", "a/%61", "a/b c", "a/{", "a/"} {
		if g, err := sessionstore.ParseGroup(s); !errors.Is(err, sessionstore.ErrInvalid) {
			t.Errorf("%q: %q, %v; want ErrInvalid", s, g, err)
		}
	}
}
