package access

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Check says what is wrong with a principal, as a *Refused: a limit is exceeded, or a name is empty or no text. Authenticators that take principals
// from elsewhere (a token, a service) call it. The reason is theirs.
func (p *Principal) Check(reason string) error {
	c := checker{reason: reason}
	c.name("the tenant", p.Tenant)
	c.name("the principal", p.Name)
	c.count("groups", len(p.Groups), GroupsMax)
	c.names("a group", p.Groups)
	c.count("claims", len(p.Claims), ClaimsMax)
	values := 0
	for name, list := range p.Claims {
		c.name("the name of a claim", name)
		values += len(list)
		for _, v := range list {
			c.text("a value of the claim "+name, v)
		}
	}
	c.count("values of claims", values, ClaimValuesMax)
	c.count("templates of client identifiers", len(p.ClientIDs), ClientIDsMax)
	c.names("a template of client identifiers", p.ClientIDs)
	c.text("the name of the credential", p.Credential)
	if c.err == nil && c.size > SizeMax {
		c.refuse("its texts have %d bytes together; at most %d are possible", c.size, SizeMax)
	}
	if c.err != nil {
		return c.err
	}
	return nil
}

// checker keeps the first fault.
type checker struct {
	reason string
	size   int
	err    *Refused
}

func (c *checker) refuse(format string, args ...any) {
	if c.err == nil {
		c.err = &Refused{Reason: c.reason, Detail: fmt.Sprintf(format, args...)}
	}
}

func (c *checker) count(what string, n, most int) {
	if n > most {
		c.refuse("there are %d %s; at most %d are possible", n, what, most)
	}
}

func (c *checker) names(what string, list []string) {
	for _, s := range list {
		c.name(what, s)
	}
}

func (c *checker) name(what, s string) {
	if s == "" {
		c.refuse("%s is empty", what)
	}
	c.text(what, s)
}

// text: names become parts of log lines, of keys in the store and of headers of messages.
func (c *checker) text(what, s string) {
	c.size += len(s)
	switch {
	case len(s) > NameMax:
		c.refuse("%s has %d bytes; at most %d are possible", what, len(s), NameMax)
	case !utf8.ValidString(s):
		c.refuse("%s is not UTF-8", what)
	default:
		for _, r := range s {
			if unicode.IsControl(r) {
				c.refuse("%s has a control character", what)
			}
		}
	}
}
