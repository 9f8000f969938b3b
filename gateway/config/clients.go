package config

import (
	"fmt"
	"time"

	"sluice/gateway/clientid"
)

// How many client identifiers a credential may be used with.
const (
	SharingOne    = "one"
	SharingShared = "shared"
)

// Clients says which client identifiers may be used by whom.
type Clients struct {
	Sharing      string // one of the Sharing constants
	PrincipalMax int
	Templates    clientid.Templates
	Keep         time.Duration
}

func clientsKeys(c *Config) []key {
	return []key{
		{"clients.sharing", SharingOne, "one: a credential is good for one client identifier, the first it is used with. shared: for any number. Either way a client identifier belongs to one principal (docs/identity.md).", oneOf(&c.Clients.Sharing, SharingOne, SharingShared)},
		{"clients.principal_max", 100_000, "How many client identifiers may belong to one principal at a time, with clients.sharing shared. One more is refused: CONNACK with 0x97.", integer(&c.Clients.PrincipalMax, 1, 100_000_000)},
		{"clients.templates", "", "Templates of the client identifiers that devices may use, separated by commas or as a list: text with {principal}, {tenant}, and * for any text, such as {principal}-*. Empty: any. A principal that brings templates of its own has those.", templates(&c.Clients.Templates)},
		{"clients.keep", "720h", "How long a client identifier belongs to its principal, and a credential to its client identifier, after the session is over.", duration(&c.Clients.Keep, clientsKeepMin, 10*365*24*time.Hour)},
	}
}

func templates(dst *clientid.Templates) setter {
	return func(v any) error {
		list, err := texts(v)
		if err != nil {
			return err
		}
		if *dst, err = clientid.ParseAll(list); err != nil {
			return fmt.Errorf("cannot be used: %w", err)
		}
		return nil
	}
}
