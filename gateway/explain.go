package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"sluice/gateway/access"
	"sluice/mapping/rules/explain"
)

// explain answers GET /api/v1/explain: what this node makes of a message, or of a subscription, by the rules it runs with. The parameters are those of
// `sluice explain`, with _ for - in their names; with as it is what the rules of access allow. A question that makes no sense is answered with 400 and a sentence.
func (gw *Gateway) explain(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("as") {
		gw.explainRights(w, r.URL.Query())
		return
	}
	q, err := explainQuestion(r.URL.Query())
	if err != nil {
		answer(w, http.StatusBadRequest, err.Error())
		return
	}
	if q.Filter != "" {
		s, err := explain.Subscribe(gw.opt.Bridge.Dialect, gw.opt.Bridge.Rules, q)
		answerExplained(w, &s, err)
		return
	}
	e, err := explain.Ask(gw.opt.Bridge.Dialect, gw.opt.Bridge.Rules, q)
	answerExplained(w, &e, err)
}

func answerExplained(w http.ResponseWriter, e any, err error) {
	if err != nil {
		answer(w, http.StatusBadRequest, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(e)
}

func explainQuestion(values url.Values) (q explain.Question, err error) {
	q = explain.Question{Tenant: access.DefaultTenant, Principal: access.AnonymousName}
	for name := range values {
		value := values.Get(name)
		switch name {
		case "topic":
			q.Topic = value
		case "address":
			q.Address = value
		case "subject":
			q.Subject = value
		case "subscribe":
			q.Filter = value
		case "payload":
			q.Payload = []byte(value)
		case "content_type":
			q.ContentType = value
		case "response_topic":
			q.ResponseTopic = value
		case "user_property":
			q.User = values[name]
		case "principal":
			q.Principal = value
		case "tenant":
			q.Tenant = value
		case "client_id":
			q.ClientID = value
		case "qos":
			q.QoS, err = strconv.Atoi(value)
		case "retain":
			q.Retain, err = strconv.ParseBool(value)
		case "v311":
			q.V311, err = strconv.ParseBool(value)
		case "expiry":
			var seconds uint64
			seconds, err = strconv.ParseUint(value, 10, 32)
			q.Expiry = uint32(seconds)
		default:
			return q, fmt.Errorf("%s: unknown parameter; there are topic, qos, retain, payload, content_type, response_topic, expiry, user_property, principal, tenant, client_id, v311, for a message of a backend address and subject, and for a subscription subscribe; with as, which asks for the rights of a principal, topic, subscribe, qos, retain, will, tenant, client_id, group and claim", name)
		}
		if err != nil {
			return q, fmt.Errorf("%s %q: %w", name, value, err)
		}
	}
	return q, nil
}
