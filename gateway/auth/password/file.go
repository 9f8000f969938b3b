package password

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sluice/gateway/access"
)

// Method is the name of this method, in configuration, metrics and Principal.Source.
const Method = "password"

// table is what the file says.
type table struct {
	byName map[string]*user
	users  []*user // in the order of the file
}

// user is one line.
type user struct {
	line string
	hash hash
	// principal is the same for all who log in as this user, and for as long as the line is: so it tells whether a device has logged in with what the line says now.
	principal *access.Principal
}

// parse reads a file. Lines that older had already are the same users. The error names the line, and shows none of it but the name.
func parse(content []byte, older *table) (*table, error) {
	t := &table{byName: map[string]*user{}}
	number := 0
	for line := range bytes.Lines(content) {
		number++
		text := strings.TrimRight(string(line), "\r\n")
		if isNoUser(text) {
			continue
		}
		u, err := parseLine(text, older)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		name := u.principal.Name
		if t.byName[name] != nil {
			return nil, fmt.Errorf("line %d: there is another line for %q; keep one of them", number, name)
		}
		if len(t.users) == usersMax {
			return nil, fmt.Errorf("line %d: there are more than %d users; use tokens or the HTTP hook for so many", number, usersMax)
		}
		t.byName[name], t.users = u, append(t.users, u)
	}
	return t, nil
}

// isNoUser: empty lines, and comments.
func isNoUser(line string) bool { return strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") }

func parseLine(line string, older *table) (*user, error) {
	name, rest, _ := strings.Cut(line, ":")
	if older != nil {
		if u := older.byName[name]; u != nil && u.line == line {
			return u, nil
		}
	}
	fields := strings.Split(rest, ":")
	if len(fields) > 3 || rest == "" {
		return nil, errors.New("it is not name:hash[:tenant[:group,group]]")
	}
	if err := checkName("the name", name); err != nil {
		return nil, err
	}
	h, err := parseHash(fields[0])
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	p := &access.Principal{Tenant: access.DefaultTenant, Name: name, Source: Method, Credential: Method + ":" + name}
	if len(fields) > 1 && fields[1] != "" {
		p.Tenant = fields[1]
	}
	if len(fields) > 2 && fields[2] != "" {
		p.Groups = strings.Split(fields[2], ",")
	}
	if err := checkPrincipal(p); err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	return &user{line: line, hash: h, principal: p}, nil
}

func checkPrincipal(p *access.Principal) error {
	if p.Name == access.AnonymousName {
		return errors.New("this name is for those who show nothing; choose another")
	}
	if err := checkName("the tenant", p.Tenant); err != nil {
		return err
	}
	if len(p.Groups) > groupsMax {
		return fmt.Errorf("it has %d groups; it may have %d", len(p.Groups), groupsMax)
	}
	for i, g := range p.Groups {
		if err := checkName("a group", g); err != nil {
			return err
		}
		if slices.Contains(p.Groups[:i], g) {
			return fmt.Errorf("it has the group %q twice", g)
		}
	}
	return nil
}

// checkName: what can be written into a line and read from it, and shown to people.
func checkName(what, s string) error {
	bad := func(r rune) bool { return r == ':' || r == ',' || unicode.IsControl(r) }
	switch {
	case s == "":
		return fmt.Errorf("%s is empty", what)
	case len(s) > nameMax:
		return fmt.Errorf("%s has %d bytes; it may have %d", what, len(s), nameMax)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, bad):
		return fmt.Errorf("%s %q has a character that it may not have: a colon, a comma or a control character", what, s)
	case strings.TrimSpace(s) != s:
		return fmt.Errorf("%s %q begins or ends with a space", what, s)
	case strings.HasPrefix(s, "#"):
		return fmt.Errorf("%s %q begins with #, as comments do", what, s)
	}
	return nil
}

// User is a line to be written.
type User struct {
	Name   string
	Hash   string // as Hash makes it
	Tenant string // empty: the default
	Groups []string
}

// check reports what could not be read from a line as it was meant.
func (u *User) check() error {
	if err := checkName("the name", u.Name); err != nil {
		return err
	}
	tenant := u.Tenant
	if tenant == "" {
		tenant = access.DefaultTenant
	}
	return checkPrincipal(&access.Principal{Tenant: tenant, Name: u.Name, Groups: u.Groups})
}

func (u *User) line() string {
	l := u.Name + ":" + u.Hash
	if u.Tenant != "" || len(u.Groups) > 0 {
		l += ":" + u.Tenant
	}
	if len(u.Groups) > 0 {
		l += ":" + strings.Join(u.Groups, ",")
	}
	return l
}

// Edit gives the content of a file with a user set, or removed where u.Hash is empty, and whether the user was there. All other lines stay as they are. It fails when the result
// could not be used.
func Edit(content []byte, u User) (edited []byte, found bool, err error) {
	if err := u.check(); err != nil {
		return nil, false, err
	}
	for line := range bytes.Lines(content) {
		text := strings.TrimRight(string(line), "\r\n")
		if name, _, _ := strings.Cut(text, ":"); isNoUser(text) || name != u.Name {
			edited = append(append(edited, text...), '\n')
			continue
		}
		found = true
		if u.Hash != "" {
			edited = append(append(edited, u.line()...), '\n')
		}
	}
	if !found && u.Hash != "" {
		edited = append(append(edited, u.line()...), '\n')
	}
	if _, err := parse(edited, nil); err != nil {
		return nil, found, err
	}
	return edited, found, nil
}
