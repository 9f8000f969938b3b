package config

// What devices may do where there is no policy file.
const (
	AccessOwn = "own"
	AccessAll = "all"
)

// Access says what devices may do.
type Access struct {
	Policy  string // file; empty: Default counts
	Default string // AccessOwn or AccessAll, never empty once loaded
}

func accessKeys(c *Config) []key {
	a := &c.Access
	return []key{
		{"access.policy", "", "File with the rules that say what devices may publish and subscribe to (docs/authorization.md). Read again when it changes.", text(&a.Policy)},
		{"access.default", "", "What devices may do without access.policy. own: publish and subscribe to what is below devices/{client_id}/, in tenants other than default below " +
			"tenants/{tenant}/devices/{client_id}/. all: everything. Empty is all where only anonymous devices of this machine can connect, who could call themselves anything, and own otherwise.",
			inherited(&a.Default, []string{AccessOwn, AccessAll})},
	}
}

// settleAccess fills in what access.default leaves open.
func (c *Config) settleAccess() {
	if c.Access.Default != "" {
		return
	}
	c.Access.Default = AccessAll
	for _, l := range c.Listeners() {
		if !l.IsLoopback() || len(l.Auth) != 1 || l.Auth[0] != AuthAnonymous {
			c.Access.Default = AccessOwn
		}
	}
}

// accessFaults are the rules about authorization that concern more than one key.
func (c *Config) accessFaults(fault func(format string, args ...any)) {
	if c.Access.Policy != "" && c.Access.Default != "" {
		fault("access.policy and access.default are both set, but a policy has no default: what none of its rules allows is denied; leave access.default out")
	}
}
