package permit

// OwnText is the policy of access.default = own: each device has the topics below its client identifier to itself, and nothing of its neighbours. Tenants
// other than the default one are below a topic of their own, so that no tenant's name leads into another's topics.
const OwnText = `rules:
  - allow: own-topics
    who: {tenants: default}
    do: [publish, subscribe]
    topics: devices/{client_id}/#
  - allow: own-topics-of-tenant
    do: [publish, subscribe]
    topics: tenants/{tenant}/devices/{client_id}/#
`

// Own is that policy.
func Own() *Policy {
	p, err := Parse([]byte(OwnText))
	if err != nil {
		panic("permit: " + err.Error())
	}
	return p
}
