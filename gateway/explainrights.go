package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"sluice/gateway/access"
	"sluice/gateway/permit"
)

// explainRights answers GET /api/v1/explain?as=PRINCIPAL: whether such a device may do what is asked, and which rule decides, by the rules in force.
func (gw *Gateway) explainRights(w http.ResponseWriter, values url.Values) {
	q, err := rightsQuestion(values)
	if err != nil {
		answer(w, http.StatusBadRequest, err.Error())
		return
	}
	explained := permit.Everything
	if in := gw.rights.in.Load(); in != nil {
		explained = in.policy.Explain
	}
	e, err := explained(q)
	answerExplained(w, &e, err)
}

func rightsQuestion(values url.Values) (q permit.Question, err error) {
	q.Principal.Tenant = access.DefaultTenant
	for name := range values {
		value := values.Get(name)
		switch name {
		case "as":
			q.Principal.Name = value
		case "tenant":
			q.Principal.Tenant = value
		case "group":
			q.Principal.Groups = values[name]
		case "claim":
			q.Principal.Claims, err = permit.ParseClaims(values[name])
		case "client_id":
			q.ClientID = value
		case "topic":
			q.Topic = value
		case "subscribe":
			q.Filter = value
		case "qos":
			q.QoS, err = strconv.Atoi(value)
		case "retain":
			q.Retain, err = strconv.ParseBool(value)
		case "will":
			q.Will, err = strconv.ParseBool(value)
		default:
			return q, fmt.Errorf("%s: unknown parameter; with as there are topic or subscribe, qos, retain, will, tenant, client_id, group and claim", name)
		}
		if err != nil {
			return q, fmt.Errorf("%s %q: %w", name, value, err)
		}
	}
	return q, nil
}
