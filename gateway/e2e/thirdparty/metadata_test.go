package thirdparty

import "time"

var metadata = []scenario{
	{name: "all properties", play: allProperties, only: v5},
	{name: "request and response", play: requestResponse, only: v5},
}

// everything is what a message can have; User Properties repeat and are in the order of their keys.
func everything(answers string) extras {
	return extras{
		ContentType: "text/plain; charset=utf-8", ResponseTopic: answers, Correlation: "\x00\xffcorrelation", Text: true, Expiry: everyExpiry,
		User: []string{"a=2", "a=1", "a=1", "z=x=y", "ä€😀="},
	}
}

// Properties cross unchanged at each QoS [MQTT-3.3.2-4, MQTT-3.3.2-15 to MQTT-3.3.2-20].
func allProperties(s *stage) {
	sub, pub := s.connect(s.second), s.connect(s.first)
	for qos := range byte(3) {
		topic := s.name("x")
		sub.sub(topic, qos)
		m := message{Topic: topic, Payload: "21.5", QoS: qos, extras: everything(s.name("answers"))}
		pub.pub(m)
		got := sub.messages.next(s, "the message")
		expectExpiry(s, got, everyExpiry-uint32(patience/time.Second), everyExpiry)
		got.Expiry = m.Expiry
		if diff := compare(m, got); diff != "" {
			s.Errorf("QoS %d (-want +got):\n%s", qos, diff)
		}
	}
}

// A request finds its responder on the other node, and the response finds the requester.
func requestResponse(s *stage) {
	requester, responder := s.connect(s.first), s.connect(s.second)
	answers := s.name("answers/1")
	requester.sub(answers, 1)
	responder.sub(s.name("requests"), 1)
	requester.pub(message{Topic: s.name("requests"), Payload: "2+2", QoS: 1, extras: extras{ResponseTopic: answers, Correlation: "no. 7"}})
	got := responder.messages.next(s, "the request")
	responder.pub(message{Topic: got.ResponseTopic, Payload: "4", QoS: 1, extras: extras{Correlation: got.Correlation}})
	requester.expect(message{Topic: answers, Payload: "4", QoS: 1, extras: extras{Correlation: "no. 7"}})
}
