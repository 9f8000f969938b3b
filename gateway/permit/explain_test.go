package permit

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/gateway/access"
)

const plantText = `rules:
  - deny: recipes
    who: {groups: contractors}
    do: subscribe
    topics: plant/+/recipes/#
  - allow: plant
    who: {groups: [contractors, staff]}
    do: subscribe
    topics: plant/#
    qos_max: 1
  - allow: own
    do: [publish, subscribe]
    topics: devices/{client_id}/#
    retain: false
`

func TestExplain(t *testing.T) {
	contractor := access.Principal{Tenant: "default", Name: "otto", Groups: []string{"contractors"}}
	for _, c := range []struct {
		name string
		q    Question
		want string
	}{
		{"a deny inside", Question{Principal: contractor, ClientID: "pad", Filter: "plant/#", QoS: 2}, `device    principal otto, tenant default, client identifier "pad"
wants to  subscribe to plant/#, QoS 2
decision  allowed by rule plant (plant/#), granted QoS 1
rules
  recipes (line 2) denies plant/+/recipes/#
  plant (line 6) allows plant/#, qos_max: 1
  own (line 11) is for other topics: devices/pad/#
messages, the first that matches counts
  plant/+/recipes/#: do not come, by rule recipes
  plant/#: come up to QoS 1, by rule plant
`},
		{"shared", Question{Principal: contractor, ClientID: "pad", Filter: "$share/g/plant/#"}, `device    principal otto, tenant default, client identifier "pad"
wants to  subscribe to $share/g/plant/#, QoS 0
decision  denied by rule recipes (plant/+/recipes/#): not all topics that the filter matches are allowed, as a shared subscription needs
rules
  recipes (line 2) denies plant/+/recipes/#
  plant (line 6) allows plant/#, qos_max: 1
  own (line 11) is for other topics: devices/pad/#
messages, the first that matches counts
  plant/+/recipes/#: do not come, by rule recipes
  plant/#: come up to QoS 1, by rule plant
`},
		{"retained", Question{Principal: contractor, ClientID: "pad", Topic: "devices/pad/x", Retain: true}, `device    principal otto, tenant default, client identifier "pad"
wants to  publish to devices/pad/x, QoS 0, retained
decision  denied by rule own (devices/pad/#): retain: false
rules
  recipes (line 2) is not about publishing
  plant (line 6) is not about publishing
  own (line 11) allows devices/pad/#, retain: false
`},
		{"a name that does not fit", Question{Principal: *access.Anonymous(), ClientID: "a/b", Topic: "devices/a/b", Will: true}, `device    principal anonymous, tenant default, client identifier "a/b"
wants to  publish to devices/a/b, QoS 0, as its Will
decision  denied: no rule allows it
rules
  recipes (line 2) is not about publishing
  plant (line 6) is not about publishing
  own (line 11) does not apply to this device, see below
problem   rule own: topics "devices/{client_id}/#": {client_id} is empty or contains +, #, / or a null character: "a/b"; it allows nothing by that value
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := mustParse(t, plantText).Explain(c.q)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, e.Text()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExplainRefusesNonsense(t *testing.T) {
	for _, q := range []Question{
		{Principal: *access.Anonymous()},
		{Principal: *access.Anonymous(), Topic: "a", Filter: "a"},
		{Principal: *access.Anonymous(), Topic: "a/+"},
		{Principal: *access.Anonymous(), Filter: "a/#/b"},
		{Principal: *access.Anonymous(), Topic: "a", QoS: 3},
		{Principal: *access.Anonymous(), Filter: "a", Retain: true},
		{Topic: "a"},
	} {
		if _, err := Own().Explain(q); err == nil {
			t.Errorf("%+v is answered", q)
		}
		if _, err := Everything(q); err == nil {
			t.Errorf("%+v is answered where there is no policy", q)
		}
	}
}
