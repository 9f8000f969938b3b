package attack

import (
	"testing"

	"sluice/gateway/e2e/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
