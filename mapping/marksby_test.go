package mapping_test

import (
	"testing"

	"sluice/mapping"
)

// Where marks stand by default follows the bus.
func TestMarksByBus(t *testing.T) {
	for _, c := range []struct {
		name    string
		dialect mapping.Dialect
		want    mapping.MarksIn
	}{
		{"RabbitMQ", mapping.RabbitMQ, mapping.MarksInProperties},
		{"Artemis", mapping.Artemis("mqtt"), mapping.MarksInAnnotations},
		{"Service Bus", mapping.ServiceBus("devices", ""), mapping.MarksInAnnotations},
		{"Event Hubs", mapping.EventHubs("hub", ""), mapping.MarksInAnnotations},
	} {
		got, want := c.dialect.WithForm(mapping.Form{Marks: mapping.MarksByBus}), c.dialect.WithForm(mapping.Form{Marks: c.want})
		if got != want {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
	}
}
