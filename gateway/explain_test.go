package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sluice/gateway/bridge"
	"sluice/mapping"
	"sluice/mapping/rules"
	"sluice/mapping/rules/explain"
)

// GET /api/v1/explain answers by the rules that the node runs with, and says what is wrong with a question.
func TestExplainOverHTTP(t *testing.T) {
	table, err := rules.Compile([]rules.Rule{{Name: "plant", Topic: "plant/{site}/#", Tenants: []string{"acme"}, Principals: []string{"p"}, QoS: []int{1}, Exchange: "plants", ContentType: "text/csv"}}, mapping.RabbitMQ)
	if err != nil {
		t.Fatal(err)
	}
	gw := &Gateway{opt: Options{Bridge: bridge.Config{Rules: table}}}
	get := func(query string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		gw.explain(w, httptest.NewRequest(http.MethodGet, "/api/v1/explain?"+query, nil))
		return w
	}
	w := get("topic=plant/hall/x&qos=1&retain=true&payload=21&content_type=a/b&response_topic=re&expiry=60&user_property=a%3D1&user_property=b%3D2&principal=p&tenant=acme&client_id=c7")
	var e explain.Explanation
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
	}
	text := e.Text()
	for _, part := range []string{"rule 1 (plant)", "/exchanges/plants/plant.hall.x", "User Property a", "User Property b", `"c7"`, `"a/b"`, "Message Expiry Interval  60", `"/exchanges/amq.topic/re"`, "2 bytes", "true, as published"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in\n%s", part, text)
		}
	}
	if body := get("topic=plant/hall/x&v311=1").Body.String(); !strings.Contains(body, `"rule":null`) || !strings.Contains(body, "anonymous") || !strings.Contains(body, "MQTT 3.1.1") {
		t.Errorf("the device as it is by default: %s", body)
	}
	if body := get("address=/exchanges/plants/plant.a.b&subject=s").Body.String(); !strings.Contains(body, `"found_by":"rule 1 (plant)"`) {
		t.Errorf("the way down: %s", body)
	}
	if body := get("subscribe=plant/%2B/x").Body.String(); body != `{"direction":"subscribe","question":"a device subscribes to plant/+/x","bindings":[{"exchange":"amq.topic","pattern":"plant.*.x"},{"exchange":"plants","pattern":"plant.*.x","rule":"1 (plant)"}],"unheard":[]}`+"\n" {
		t.Errorf("a subscription: %s", body)
	}
	for query, want := range map[string]string{"subscribe=a/%23/b": "the filter", "subscribe=a&topic=b": "give one or the other", "": "nothing is asked", "topic=a/%23": "the topic", "topic=a&qos=x": `qos "x"`, "topic=a&expiry=-1": "expiry", "topic=a&retain=maybe": "retain", "tpoic=a": "tpoic: unknown parameter"} {
		if w := get(query); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q: %d %s, want 400 and %q", query, w.Code, w.Body, want)
		}
	}
}

// With as it answers by the rules of access that are in force.
func TestExplainRightsOverHTTP(t *testing.T) {
	gw := &Gateway{opt: Options{Policy: mustPolicy(t, `rules:
  - allow: site
    who: {tenants: acme, groups: staff, claims: {level: ["2", "3"]}}
    do: [publish, subscribe]
    topics: "plant/{claim:site}/{client_id}/#"
    qos_max: 1
    retain: false
`)}}
	gw.rights = newRights(gw)
	ask := func(query string) (int, string) {
		w := httptest.NewRecorder()
		gw.explain(w, httptest.NewRequest(http.MethodGet, "/api/v1/explain?"+query, nil))
		return w.Code, w.Body.String()
	}
	const who = "as=p&tenant=acme&group=x&group=staff&claim=level%3D3&claim=site%3Dhall&client_id=c7&"
	for query, want := range map[string]string{
		who + "topic=plant/hall/c7/x&qos=1":           `{"allowed":true,"rule":"site","filter":"plant/hall/c7/#","why":"allowed"`,
		who + "topic=plant/hall/c7/x&retain=true":     `{"allowed":false,"rule":"site","filter":"plant/hall/c7/#","why":"retain: false"`,
		who + "topic=plant/hall/c7/x&qos=2&will=true": `"why":"the QoS is above qos_max"`,
		who + "subscribe=plant/hall/%2B/%23&qos=2":    "a narrower one may do",
		who + "subscribe=plant/hall/c7/%2B&qos=2":     `"granted_qos":1`,
		"as=p&topic=plant/hall/c7/x":                  `"says":"is not for this device: tenants"`,
		"as=p&topic=a/%23":                            "",
		"as=p&topic=a&claim=x":                        "is no claim",
		"as=p&topic=a&payload=x":                      "payload: unknown parameter; with as there are",
		"as=p&topic=a&will=x":                         `will "x"`,
		"as=p":                                        "ask for the topic of a message",
	} {
		code, body := ask(query)
		if !strings.Contains(body, want) || (code == http.StatusOK) != strings.HasPrefix(body, "{") {
			t.Errorf("%q: %d %s, want %s", query, code, body, want)
		}
	}
	gw.rights.in.Store(nil)
	if _, body := ask("as=p&topic=a"); !strings.Contains(body, `"allowed":true`) || !strings.Contains(body, "access.default is all") {
		t.Errorf("without a policy: %s", body)
	}
}
