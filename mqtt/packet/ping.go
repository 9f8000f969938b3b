package packet

// PINGREQ and PINGRESP have no body; end refuses one (MQTT 5, 3.12.1 and 3.13.1).

func (*Pingreq) decode(*cursor, Header) error { return nil }

func (*Pingreq) layout(Version) (layout, error) { return layout{}, nil }

func (*Pingreq) appendBody(dst []byte, _ layout, _ Version) []byte { return dst }

func (*Pingresp) decode(*cursor, Header) error { return nil }

func (*Pingresp) layout(Version) (layout, error) { return layout{}, nil }

func (*Pingresp) appendBody(dst []byte, _ layout, _ Version) []byte { return dst }
