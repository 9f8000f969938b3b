// Package config reads and checks the configuration: one table of keys (keys.go) with default, meaning and check, from which loading, the
// error messages and the reference in docs/configuration.md all come.
//
// Mapping rules are the one list (rules.go): in the file only, with a table of keys of its own, compiled by package mapping/rules.
//
// A key comes from --set, else from the environment (SLUICE_MQTT_TCP_LISTEN for mqtt.tcp.listen), else from the file, else from its
// default. What is wrong is refused with the key, the value and the way to mend it; all faults are told at once.
package config
