package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sluice/mqtt/packet"
	"sluice/sessionstore"
)

// ask makes a request of an administrator.
func (n *bubbleNode) ask(method, target, body string) (int, string) {
	w := httptest.NewRecorder()
	n.AdminHandler().ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

func TestRevocationsByTheAdministrationPort(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.named(time.Time{})
		n, m := b.start("n", b.store), b.start("m", b.store)
		listed := func() (list struct{ Revocations []revocationDocument }) {
			t.Helper()
			code, body := m.ask(http.MethodGet, "/api/v1/revocations", "")
			if err := json.Unmarshal([]byte(body), &list); code != http.StatusOK || err != nil || list.Revocations == nil {
				t.Fatalf("%d %s %v", code, body, err)
			}
			return list
		}
		if l := listed(); len(l.Revocations) != 0 {
			t.Fatalf("of nothing: %+v", l)
		}
		for body, word := range map[string]string{
			"": "no revocation", "[]": "no revocation", `{"principle":"x"}`: "principle", `{}`: "name one of", `{"principal":"a","client_id":"b"}`: "name one of",
			`{"principal":"a","credential":"b"}`: "name one of", `{"credential":"b","tenant":"t"}`: "tenant", `{"id":"x","principal":"a"}`: "id:",
			`{"principal":"a","until":"2020-01-01T00:00:00Z"}`: "until", `{"principal":"a","until":"2199-01-01T00:00:00Z"}`: "until", `{"principal":"a","until":"tomorrow"}`: "no revocation",
			`{"principal":"a","at":"2100-01-01T00:00:00Z"}`: "at:", `{"principal":"` + strings.Repeat("x", adminBodyMax) + `"}`: "too large",
			`{"principal":"` + strings.Repeat("x", sessionstore.MaxRevocationText+1) + `"}`: "1025 bytes",
		} {
			if code, said := n.ask(http.MethodPost, "/api/v1/revocations", body); code != http.StatusBadRequest || !strings.Contains(said, word) {
				t.Errorf("%.60s: %d %s, want a word of %q", body, code, said, word)
			}
		}
		code, body := n.ask(http.MethodPost, "/api/v1/revocations", `{"tenant":"t","principal":"alice","reason":"stolen"}`)
		var made revocationDocument
		if err := json.Unmarshal([]byte(body), &made); code != http.StatusCreated || err != nil || made.ID == "" || made.Tenant != "t" || made.Reason != "stolen" || made.Until.Sub(*made.At) != revocationDefault {
			t.Fatalf("%d %s %v", code, body, err)
		}
		time.Sleep(2 * time.Second)
		for _, node := range []*bubbleNode{n, m} {
			node.as("dev", packet.V5, packet.NotAuthorized, is("t/alice/1"))
		}
		if l := listed(); len(l.Revocations) != 1 || l.Revocations[0].ID != made.ID {
			t.Fatalf("listed: %+v", l)
		}
		if code, body := n.ask(http.MethodDelete, "/api/v1/revocations/"+made.ID, ""); code != http.StatusNoContent {
			t.Fatalf("%d %s", code, body)
		}
		time.Sleep(2 * time.Second)
		n.as("dev", packet.V5, packet.Success, is("t/alice/1"))
		if code, _ := n.ask(http.MethodPost, "/api/v1/revocations", `{"client_id":"short","until":"`+time.Now().Add(time.Minute).Format(time.RFC3339)+`"}`); code != http.StatusCreated || len(listed().Revocations) != 1 {
			t.Fatalf("%d, and listed are %+v", code, listed())
		}
		time.Sleep(time.Minute)
		if l := listed(); len(l.Revocations) != 0 {
			t.Errorf("what is over is listed: %+v", l)
		}
	})
}

func TestClientsByTheAdministrationPort(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.named(time.Time{})
		n := b.start("n", b.store)
		const id = "a/../b c&d=é"
		n.as(id, packet.V5, packet.Success, is("t/alice/1"))
		at := "/api/v1/clients?tenant=t&client_id=" + url.QueryEscape(id)
		if code, body := n.ask(http.MethodGet, at, ""); code != http.StatusOK || body != `{"tenant":"t","client_id":"a/../b c\u0026d=é","principal":"alice","assigned":false}`+"\n" {
			t.Fatalf("%d %s", code, body)
		}
		for target, want := range map[string]int{
			"/api/v1/clients": http.StatusBadRequest, "/api/v1/clients?id=x": http.StatusBadRequest, "/api/v1/clients?client_id=" + url.QueryEscape(id): http.StatusNotFound,
		} {
			for _, method := range []string{http.MethodGet, http.MethodDelete} {
				if code, body := n.ask(method, target, ""); code != want {
					t.Errorf("%s %s: %d %s, want %d", method, target, code, body, want)
				}
			}
		}
		for _, want := range []int{http.StatusNoContent, http.StatusNotFound} {
			if code, body := n.ask(http.MethodDelete, at, ""); code != want {
				t.Fatalf("%d %s, want %d", code, body, want)
			}
		}
		n.as(id, packet.V5, packet.Success, is("t/bob/1"))
	})
}
