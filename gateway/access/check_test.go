package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestAPrincipalIsBounded(t *testing.T) {
	many := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprint(i))
		}
		return list
	}
	manyClaims := map[string][]string{}
	for i := range ClaimsMax + 1 {
		manyClaims[fmt.Sprint(i)] = nil
	}
	long := strings.Repeat("x", NameMax+1)
	for _, c := range []struct {
		name  string
		spoil func(*Principal)
		want  string // part of the detail; empty: it is good
	}{
		{"good", func(*Principal) {}, ""},
		{"full", func(p *Principal) {
			p.Groups, p.Claims = many(GroupsMax), map[string][]string{"c": many(ClaimValuesMax)}
		}, ""},
		{"no tenant", func(p *Principal) { p.Tenant = "" }, "the tenant is empty"},
		{"no name", func(p *Principal) { p.Name = "" }, "the principal is empty"},
		{"long", func(p *Principal) { p.Name = long }, "the principal has 513 bytes"},
		{"not UTF-8", func(p *Principal) { p.Name = "a\xff" }, "not UTF-8"},
		{"control", func(p *Principal) { p.Name = "a\nb" }, "control character"},
		{"groups", func(p *Principal) { p.Groups = many(GroupsMax + 1) }, "201 groups"},
		{"empty group", func(p *Principal) { p.Groups = []string{""} }, "a group is empty"},
		{"claims", func(p *Principal) { p.Claims = manyClaims }, "65 claims"},
		{"values", func(p *Principal) { p.Claims = map[string][]string{"c": many(ClaimValuesMax + 1)} }, "257 values"},
		{"long value", func(p *Principal) { p.Claims = map[string][]string{"c": {long}} }, "a value of the claim c"},
		{"templates", func(p *Principal) { p.ClientIDs = many(ClientIDsMax + 1) }, "33 templates"},
		{"credential", func(p *Principal) { p.Credential = long }, "the name of the credential has 513"},
		{"all together", func(p *Principal) { p.Groups = slices.Repeat([]string{strings.Repeat("x", NameMax)}, 17) }, "bytes together"},
	} {
		p := Anonymous()
		c.spoil(p)
		err := p.Check("why")
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		var refused *Refused
		if !errors.As(err, &refused) || refused.Reason != "why" || !strings.Contains(refused.Detail, c.want) {
			t.Errorf("%s: %v, want a refusal that says %q", c.name, err, c.want)
		}
	}
}
