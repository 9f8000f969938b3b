package quota

import "time"

// Rules are the quotas as configured. They are not changed once they are in use.
type Rules struct {
	Principal Limits // of each principal
	Tenant    Limits // of each tenant as a whole
	// DelayMax is how long reading from a device is paused at most for what it publishes beyond its rate. What would need longer is refused.
	DelayMax time.Duration
	// Exceptions are what the file says; nil: there is none.
	Exceptions *Exceptions
}

// tenantLimits are those of a tenant as a whole.
func (r *Rules) tenantLimits(tenant string) Limits {
	l := r.Tenant
	if t := r.exceptions(tenant); t != nil {
		t.Limits.over(&l)
	}
	return l
}

// principalLimits are those of one principal.
func (r *Rules) principalLimits(tenant, principal string) Limits {
	l := r.Principal
	if t := r.exceptions(tenant); t != nil {
		t.Principal.over(&l)
		if p := t.Principals[principal]; p != nil {
			p.Limits.over(&l)
		}
	}
	return l
}

// Session gives the bounds of a principal's sessions.
func (r *Rules) Session(tenant, principal string) Session {
	var s Session
	if t := r.exceptions(tenant); t != nil {
		t.Session.over(&s)
		if p := t.Principals[principal]; p != nil {
			p.Session.over(&s)
		}
	}
	return s
}

func (r *Rules) exceptions(tenant string) *TenantExceptions {
	if r.Exceptions == nil {
		return nil
	}
	return r.Exceptions.Tenants[tenant]
}

// metersPublish reports whether a message costs anybody anything.
func (r *Rules) metersPublish() bool {
	if r.Principal.metersPublish() || r.Tenant.metersPublish() {
		return true
	}
	if r.Exceptions == nil {
		return false
	}
	for name, t := range r.Exceptions.Tenants {
		if l := r.tenantLimits(name); l.metersPublish() {
			return true
		}
		if t == nil {
			continue
		}
		if l := r.principalLimits(name, ""); l.metersPublish() {
			return true
		}
		for principal := range t.Principals {
			if l := r.principalLimits(name, principal); l.metersPublish() {
				return true
			}
		}
	}
	return false
}
