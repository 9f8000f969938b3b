package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// passwdWith runs sluice passwd with a password on standard input.
func passwdWith(t *testing.T, stdin string, args ...string) (out string, err error) {
	t.Helper()
	var b bytes.Buffer
	cmd := root()
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&b)
	cmd.SetErr(&b)
	cmd.SetArgs(append([]string{"passwd"}, args...))
	err = cmd.ExecuteContext(t.Context())
	return b.String(), err
}

func content(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestPasswd sets, changes and removes users. A new file is for its owner only, one that is there keeps what others may, short of everybody.
func TestPasswd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passwords")
	run := func(stdin string, args ...string) {
		t.Helper()
		out, err := passwdWith(t, stdin, append([]string{file}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out, "pear") || strings.Contains(content(t, file), "pear") {
			t.Errorf("the password is shown: %q", out)
		}
		if _, err := os.Stat(file + ".new"); err == nil {
			t.Error("something is left over")
		}
	}
	mode := func(want os.FileMode) {
		t.Helper()
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("mode %v, %v; want %v", info.Mode(), err, want)
		}
	}
	run("pear\n", "ada")
	mode(0o600)
	if c := content(t, file); !strings.HasPrefix(c, "ada:$argon2id$v=19$") || strings.Count(c, "\n") != 1 {
		t.Errorf("the file is %q", c)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	run("pear without a line break", "bob", "--tenant", "plant", "--group", "presses", "--group", "hall")
	mode(0o640)
	before := content(t, file)
	if !strings.HasSuffix(before, ":plant:presses,hall\n") {
		t.Errorf("the file is %q", before)
	}
	run("", "ada", "--delete")
	if c := content(t, file); c != before[strings.Index(before, "bob:"):] {
		t.Errorf("the file is %q", c)
	}
	link := file + ".link"
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if _, err := passwdWith(t, "pear\n", link, "cyd"); err != nil {
		t.Fatal(err)
	}
	if c := content(t, file); !strings.Contains(c, "\ncyd:") {
		t.Errorf("through a link the file is %q", c)
	}
}

// TestPasswdRefuses and leaves the file as it was.
func TestPasswdRefuses(t *testing.T) {
	const was = "# mine\n"
	for _, c := range []struct {
		name, stdin, want string
		args              []string
		prepare           func(file string) error
	}{
		{name: "no password", args: []string{"ada"}, want: "the password is empty"},
		{name: "a long one", stdin: strings.Repeat("x", 2000), args: []string{"ada"}, want: "2000 bytes; it may have 1024"},
		{name: "a name with a colon", stdin: "p", args: []string{"a:b"}, want: "a colon"},
		{name: "a group with a comma", stdin: "p", args: []string{"a", "--group", "x,y"}, want: "a comma"},
		{name: "nobody to remove", args: []string{"ada", "--delete"}, want: `there is no user "ada"`},
		{name: "another at work", stdin: "p", args: []string{"ada"}, want: "another sluice passwd is at work", prepare: func(file string) error { return os.WriteFile(file+".new", nil, 0o600) }},
		{name: "a file that is none of ours", stdin: "p", args: []string{"ada"}, want: "line 1: it is not name:hash", prepare: func(file string) error { return os.WriteFile(file, []byte("root x\n"), 0o600) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "passwords")
			if err := os.WriteFile(file, []byte(was), 0o600); err != nil {
				t.Fatal(err)
			}
			if c.prepare != nil {
				if err := c.prepare(file); err != nil {
					t.Fatal(err)
				}
			}
			before := content(t, file)
			_, err := passwdWith(t, c.stdin, append([]string{file}, c.args...)...)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) && c.stdin != "" && !strings.Contains(err.Error(), "bytes") {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if content(t, file) != before {
				t.Error("the file has changed")
			}
		})
	}
}
