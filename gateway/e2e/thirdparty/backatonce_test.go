package thirdparty

var backAtOnce = []scenario{{name: "no will of a device that is back at once", play: noWillWhenBack}}

// noWillWhenBack: a normal DISCONNECT drops the Will [MQTT-3.14.4-3] also when the device is back on the other node as soon as the first has closed the
// connection.
func noWillWhenBack(s *stage) {
	topic := s.name("will")
	sub := s.connect(s.second)
	sub.sub(topic, 1)
	for range 5 {
		d := s.connect(s.first, persistent(s.prefix), withWill(plainWill(topic, 1)))
		d.sub(s.name("x"), 1)
		d.end()
		s.connect(s.second, persistent(s.prefix)).end()
	}
	s.connect(s.first).send(topic, "nothing before this", 1)
	sub.expectText(topic, 1, "nothing before this")
}
