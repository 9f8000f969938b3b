package session

import (
	"strings"

	"sluice/mqtt/packet"
)

// resolveAlias gives a PUBLISH of the device its topic and takes the alias away (MQTT 5, 3.3.4). The names are copied: they share memory
// with a packet that need not live as long as the alias.
func (m *Machine) resolveAlias(p *packet.Publish) *packet.Error {
	if !p.Properties.Has(packet.PropTopicAlias) {
		if p.Topic == "" {
			return violation(packet.ProtocolError, "3.3.2.1", "PUBLISH has neither topic nor Topic Alias")
		}
		return nil
	}
	alias := p.Properties.TopicAlias
	if alias == 0 || alias > m.cfg.TopicAliasMaximum {
		return violation(packet.TopicAliasInvalid, "MQTT-3.3.2-8, MQTT-3.3.2-9", "the Topic Alias is zero or above the Topic Alias Maximum")
	}
	if p.Topic == "" {
		name, ok := m.up.aliases[alias]
		if !ok {
			return violation(packet.ProtocolError, "3.3.4", "the Topic Alias was not set on this connection")
		}
		p.Topic = name
	} else {
		if m.up.aliases == nil {
			m.up.aliases = make(map[uint16]string)
		}
		if m.up.aliases[alias] != p.Topic {
			m.up.aliases[alias] = strings.Clone(p.Topic)
		}
	}
	p.Properties.Set &^= packet.PropTopicAlias
	p.Properties.TopicAlias = 0
	return nil
}

// shorten replaces the topic of a PUBLISH to the device by an alias. The first topics get one, until the device's maximum [MQTT-3.1.2-26];
// which topic comes often is not known in advance, and an alias that changes hands costs more than it saves. It is called for packets
// that are certain to be sent, as the device learns an alias only from them.
func (m *Machine) shorten(p *packet.Publish) {
	if m.conn.aliasMax == 0 {
		return
	}
	if alias, ok := m.down.aliases[p.Topic]; ok {
		name := p.Topic
		p.Topic = ""
		if !m.addAlias(p, alias) {
			p.Topic = name
		}
		return
	}
	if len(m.down.aliases) >= int(m.conn.aliasMax) {
		return
	}
	alias := uint16(len(m.down.aliases) + 1)
	if !m.addAlias(p, alias) {
		return
	}
	if m.down.aliases == nil {
		m.down.aliases = make(map[string]uint16)
	}
	m.down.aliases[strings.Clone(p.Topic)] = alias
}

// addAlias reports whether the packet fits with the alias. It may fit only without: the property is longer than a very short topic.
func (m *Machine) addAlias(p *packet.Publish, alias uint16) bool {
	p.Properties.SetTopicAlias(alias)
	if !m.tooLarge(p) {
		return true
	}
	p.Properties.Set &^= packet.PropTopicAlias
	p.Properties.TopicAlias = 0
	return false
}
