package rig

import (
	"os"
	"testing"
)

// The variables that say where the real services and clients are; scripts/services env prints them.
const (
	EnvRabbitMQ     = "SLUICE_TEST_RABBITMQ_URL"
	EnvRabbitMQMQTT = "SLUICE_TEST_RABBITMQ_MQTT"
	EnvArtemis      = "SLUICE_TEST_ARTEMIS_URL"
	EnvRedis        = "SLUICE_TEST_REDIS_URL"
	EnvMosquittoPub = "SLUICE_TEST_MOSQUITTO_PUB"
	EnvMosquittoSub = "SLUICE_TEST_MOSQUITTO_SUB"
	EnvOpenSSL      = "SLUICE_TEST_OPENSSL"
	EnvNode         = "SLUICE_TEST_NODE"
	EnvNodeModules  = "SLUICE_TEST_NODE_MODULES"
	EnvPython       = "SLUICE_TEST_PYTHON"
	EnvServices     = "SLUICE_TEST_SERVICES"
)

// Env is the value of a variable, which must be set: a test that could not run must not look like one that passed.
func Env(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf(`%s is not set; run "make test", or scripts/services up and eval "$(scripts/services env)"`, name)
	}
	return value
}
