package failure_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/mapping/failure"
	"sluice/mqtt/packet"
)

var rewrite = flag.Bool("rewrite", false, "write the tables of docs/errors.md anew instead of comparing with them")

const document = "../../docs/errors.md"

var (
	nameForm      = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	conditionForm = regexp.MustCompile(`^(amqp|sluice):[a-z:-]+$`)
)

// What every row must hold to.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range failure.All() {
		if seen[f.Name] {
			t.Errorf("%s is there twice", f.Name)
		}
		seen[f.Name] = true
		if !nameForm.MatchString(f.Name) || strings.Contains(f.Name, "unknown") {
			t.Errorf("%q is no name", f.Name)
		}
		if !conditionForm.MatchString(f.Condition) {
			t.Errorf("%s: %q is no condition", f.Name, f.Condition)
		}
		if !strings.HasSuffix(f.Sentence, ".") || len(f.Sentence) > 160 {
			t.Errorf("%s: %q is no short sentence", f.Name, f.Sentence)
		}
		if f.About < failure.Connect || f.About > failure.Delivery || f.V311 < failure.ReturnCode || f.V311 > failure.Never {
			t.Errorf("%s does not say what it is about, or what 3.1.1 sees", f.Name)
		}
		if f != failure.Named(f.Name) {
			t.Errorf("%s is not found by its name", f.Name)
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d rows", len(seen))
	}
}

// toldBy are the packets that can tell what a failure is about.
var toldBy = map[failure.About][]packet.Type{
	failure.Connect:      {packet.CONNACK},
	failure.Connection:   {packet.CONNACK, packet.DISCONNECT},
	failure.Publish:      {packet.PUBACK, packet.PUBREC},
	failure.Subscription: {packet.SUBACK, packet.UNSUBACK},
	failure.Delivery:     {},
}

// Every code is a failure, legal in its packet, and says more than "unspecified".
func TestCodesAreLegal(t *testing.T) {
	for _, f := range failure.All() {
		for _, c := range f.Codes {
			if !c.Reason.Failed() || !c.Reason.LegalIn(c.In) {
				t.Errorf("%s: 0x%02X is not legal in %s", f.Name, byte(c.Reason), c.In)
			}
			if c.Reason == packet.UnspecifiedError {
				t.Errorf("%s does not say what it is", f.Name)
			}
			if !contains(toldBy[f.About], c.In) {
				t.Errorf("%s is about a %v, which %s does not tell", f.Name, f.About, c.In)
			}
		}
		if f.V311 == failure.ByRule && f.About != failure.Publish || f.V311 == failure.Suback && f.About != failure.Subscription ||
			(f.V311 == failure.ReturnCode || f.V311 == failure.Closed) != (f.Fatal() && f.V311 != failure.Never) {
			t.Errorf("%s: what 3.1.1 sees does not fit a %v", f.Name, f.About)
		}
		if f.About == failure.Connection && f.V311 != failure.Never && len(f.Codes) == 0 {
			t.Errorf("%s ends a connection of MQTT 5 without a reason", f.Name)
		}
	}
}

func contains(list []packet.Type, t packet.Type) bool {
	for _, have := range list {
		if have == t {
			return true
		}
	}
	return false
}

// docs/errors.md has the tables that the catalogue makes. Run with -rewrite they are written.
func TestDocument(t *testing.T) {
	page, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(page), failure.DocumentBegin)
	tables, after, ended := strings.Cut(rest, failure.DocumentEnd)
	if !begun || !ended {
		t.Fatalf("%s lacks the lines between which the tables stand", document)
	}
	want := "\n" + failure.Document()
	if *rewrite {
		page := before + failure.DocumentBegin + want + failure.DocumentEnd + after
		if err := os.WriteFile(document, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, tables); diff != "" {
		t.Errorf("%s is out of date; run make docs (-want +got):\n%.3000s", document, diff)
	}
}
