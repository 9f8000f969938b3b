package mapping_test

import (
	"testing"

	"sluice/mapping"
	"sluice/mqtt/packet"
)

func TestAMarkerIsKnownByItsName(t *testing.T) {
	for _, form := range forms {
		m := mapping.Marker(mapping.RabbitMQ.WithForm(form), "/queues/inbox", "m1")
		if got := mapping.MarkerName(m); got != "m1" || m.Properties.To != "/queues/inbox" {
			t.Errorf("%+v: name %q, to %q", form, got, m.Properties.To)
		}
	}
	other, _ := mapping.Uplink(mapping.UplinkMessage{Publish: &packet.Publish{Topic: "a"}, MessageID: "x"})
	if got := mapping.MarkerName(other); got != "" {
		t.Errorf("a message of a device is taken for the marker %q", got)
	}
	other.Annotations[mapping.AnnotationMarker] = 7
	if got := mapping.MarkerName(other); got != "" {
		t.Errorf("a marker without a name is called %q", got)
	}
}

func TestIdentityIsThatOfDownlink(t *testing.T) {
	m, _ := mapping.Uplink(mapping.UplinkMessage{Publish: &packet.Publish{Topic: "a"}, MessageID: "x"})
	d, _, err := mapping.Downlink(m, mapping.DownlinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	skipped, _, err := mapping.Downlink(m, mapping.DownlinkOptions{SkipIdentity: true})
	if err != nil || skipped.Source != m || d.Source != nil {
		t.Fatalf("source %p, want %p; %v", skipped.Source, m, err)
	}
	if got := mapping.Identity(m); got != d.Identity || !mapping.Unique(got) {
		t.Errorf("identity %q, Downlink says %q", got, d.Identity)
	}
}
