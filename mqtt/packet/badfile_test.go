package packet_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"sluice/mqtt/packet"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/malformed.txt anew instead of comparing with it")

// badFile holds the bad packets for tests of other packages, which send them to a running node.
const badFile = "testdata/malformed.txt"

// TestBadFile holds the file and the tables together.
func TestBadFile(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	fmt.Fprintln(&want, "# family|name|version of the connection|version of the answer to a CONNECT|reason|bytes; made from the tables by -rewrite")
	for _, f := range []struct {
		name  string
		table []bad
	}{
		{"header", badHeaders}, {"connect", badConnects}, {"publish", badPublishes}, {"ack", badAcks}, {"subscribe", badSubscribes},
		{"other", badOthers},
	} {
		for _, b := range f.table {
			// A server reads a CONNECT before it knows of any version.
			v := b.v
			if f.name == "connect" {
				v = 0
			}
			_, err := parseAll(b.bytes, v)
			var refused *packet.Error
			if !errors.As(err, &refused) {
				t.Fatalf("%s, %s: %v", f.name, b.name, err)
			}
			fmt.Fprintf(&want, "%s|%s|%d|%d|%02x|%x\n", f.name, b.name, byte(b.v), byte(refused.Version), byte(b.reason), b.bytes)
		}
	}
	if *rewrite {
		if err := os.WriteFile(badFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(badFile)
	if err != nil {
		t.Fatalf("%v (go test ./mqtt/packet -rewrite makes it)", err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the tables say (go test ./mqtt/packet -rewrite makes it anew)", badFile)
	}
}
