package password

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"
)

const (
	salt16 = "AAAAAAAAAAAAAAAAAAAAAA"
	key32  = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	good   = "$argon2id$v=19$m=4096,t=1,p=1$" + salt16 + "$" + key32
)

// TestLinesThatCannotBeUsed: each says what is wrong, and none shows the hash.
func TestLinesThatCannotBeUsed(t *testing.T) {
	costly, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	at := func(params string) string { return "a:$argon2id$v=19$" + params + "$" + salt16 + "$" + key32 }
	for _, c := range []struct{ name, line, want string }{
		{"no hash", "ada", "it is not name:hash"},
		{"an empty hash", "ada:", "it is not name:hash"},
		{"a password", "ada:apple", "neither Argon2id"},
		{"too many fields", "ada:" + good + ":t:g:x", "it is not name:hash"},
		{"no name", ":" + good, "the name is empty"},
		{"anonymous", "anonymous:" + good, "those who show nothing"},
		{"a space at the end", "ada :" + good, "begins or ends with a space"},
		{"a control character", "a\x01:" + good, "control character"},
		{"no UTF-8", "a\xff:" + good, "may not have"},
		{"long", strings.Repeat("a", 257) + ":" + good, "257 bytes; it may have 256"},
		{"an empty group", "ada:" + good + ":t:a,,b", "a group is empty"},
		{"a group twice", "ada:" + good + "::a,a", `the group "a" twice`},
		{"many groups", "ada:" + good + "::" + strings.Repeat("g,", 32) + "g", "33 groups"},
		{"Argon2i", "a:$argon2i$v=19$m=4096,t=3,p=1$" + salt16 + "$" + key32, "not Argon2id"},
		{"an old version", "a:$argon2id$v=16$m=4096,t=3,p=1$" + salt16 + "$" + key32, "is not $argon2id$v=19"},
		{"mosquitto", "a:$7$101$abc$def", "mosquitto_passwd"},
		{"gigabytes", at("m=4194304,t=1,p=1"), "m=4194304 KiB; it may take 4096 to 65536"},
		{"next to nothing", at("m=8,t=1,p=1"), "m=8 KiB"},
		{"seconds", at("m=65536,t=100,p=1"), "t=100 passes; with m=65536 KiB it may take 1 to 4"},
		{"no pass", at("m=4096,t=0,p=1"), "t=0"},
		{"many lanes", at("m=4096,t=1,p=200"), "p=200 lanes"},
		{"no lane", at("m=4096,t=1,p=0"), "p=0 lanes"},
		{"a sign", at("m=+4096,t=1,p=1"), "are not written as m="},
		{"beyond int", at("m=99999999999999999999,t=1,p=1"), "are not written as m="},
		{"another order", at("t=1,m=4096,p=1"), "are not written as m="},
		{"a parameter more", at("m=4096,t=1,p=1,x=1"), "are not written as m="},
		{"a short salt", "a:$argon2id$v=19$m=4096,t=1,p=1$AAAA$" + key32, "the salt"},
		{"a padded salt", "a:$argon2id$v=19$m=4096,t=1,p=1$" + salt16 + "==$" + key32, "the salt"},
		{"a short key", "a:$argon2id$v=19$m=4096,t=1,p=1$" + salt16 + "$AAAA", "the key"},
		{"cheap bcrypt", "a:" + string(costly), "the cost 4; it may have 8 to 12"},
		{"dear bcrypt", "a:$2b$31$" + strings.Repeat("a", 53), "the cost 31"},
		{"half of bcrypt", "a:$2b$10$abc", "begins as bcrypt but is none"},
		{"bcrypt with something else in it", "a:$2b$10$" + strings.Repeat("a", 52) + "%", "begins as bcrypt but is none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse([]byte("# one\nb:"+good+"\n"+c.line+"\n"), nil)
			if err == nil || !strings.Contains(err.Error(), "line 3: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want line 3 and %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), key32) {
				t.Errorf("%v shows the hash", err)
			}
		})
	}
	if _, err := parse([]byte("a:"+good+"\na:"+good+":t\n"), nil); err == nil || !strings.Contains(err.Error(), `line 2: there is another line for "a"`) {
		t.Error(err)
	}
}

// TestEdit changes one line and leaves the others, comments among them, as they are.
func TestEdit(t *testing.T) {
	const file = "# who is who\na:" + good + "\n\nb:" + good + ":t:g\n"
	for _, c := range []struct {
		name   string
		before string
		user   User
		want   string
		found  bool
	}{
		{"the first", "", User{Name: "n", Hash: good}, "n:" + good + "\n", false},
		{"a new one", file, User{Name: "n", Hash: good, Groups: []string{"x", "y"}}, file + "n:" + good + "::x,y\n", false},
		{"one that is there", file, User{Name: "a", Hash: good, Tenant: "z"}, "# who is who\na:" + good + ":z\n\nb:" + good + ":t:g\n", true},
		{"one goes", file, User{Name: "b"}, "# who is who\na:" + good + "\n\n", true},
		{"nobody goes", file, User{Name: "c"}, file, false},
		{"without a last line break", strings.TrimSuffix(file, "\n"), User{Name: "n", Hash: good}, file + "n:" + good + "\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, found, err := Edit([]byte(c.before), c.user)
			if err != nil || found != c.found {
				t.Errorf("found %t, error %v", found, err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, u := range []User{{Name: "a:b", Hash: good}, {Name: "#a", Hash: good}, {Name: "a\nb", Hash: good}, {Name: "n", Hash: good, Groups: []string{"a,b", "c:d"}}, {Name: "n", Hash: good, Tenant: "x:y:z"}} {
		if got, _, err := Edit([]byte(file), u); err == nil {
			t.Errorf("%+v gives %q", u, got)
		}
	}
}

// FuzzFile: what is read is bounded in what it costs, and what Edit writes can be read and has the user as it was given.
func FuzzFile(f *testing.F) {
	f.Add([]byte("a:"+good+"\n"), "b", "t", "g")
	f.Add([]byte("# x\r\na:$2b$10$"+strings.Repeat("a", 53)+"::g"), "a", "", "")
	f.Add([]byte("a:$argon2id$v=19$m=4096,t=64,p=8$"+salt16+"$"+key32), "#", ":", ",")
	f.Fuzz(func(t *testing.T, content []byte, name, tenant, group string) {
		before, err := parse(content, nil)
		if err != nil {
			return
		}
		for _, u := range before.users {
			if h, ok := u.hash.(*argon); ok && (h.memory > argonMemoryMax || h.memory*h.passes > argonWorkMax || h.lanes > argonLanesMax) {
				t.Errorf("%s costs %+v", u.line, h)
			}
			if err := checkPrincipal(u.principal); err != nil {
				t.Error(err)
			}
		}
		u := User{Name: name, Hash: good, Tenant: tenant}
		if group != "" {
			u.Groups = []string{group}
		}
		edited, _, err := Edit(content, u)
		if err != nil {
			return
		}
		after, err := parse(edited, before)
		if err != nil {
			t.Fatalf("%q: %v", edited, err)
		}
		got := after.byName[name]
		if got == nil {
			t.Fatalf("%q has no %q", edited, name)
		}
		if p := got.principal; len(p.Groups) != len(u.Groups) || len(u.Groups) > 0 && p.Groups[0] != group || tenant != "" && p.Tenant != tenant {
			t.Errorf("%+v became %+v", u, p)
		}
		for _, other := range before.users {
			if n := other.principal.Name; n != name && after.byName[n] != other {
				t.Errorf("%q has changed", n)
			}
		}
		if gone, _, err := Edit(edited, User{Name: name}); err != nil || bytes.Count(gone, []byte("\n")) >= bytes.Count(edited, []byte("\n")) {
			t.Errorf("removed: %q, %v", gone, err)
		}
	})
}
