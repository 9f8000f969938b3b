package hostile

import (
	"net/http"
	"testing"

	"sluice/gateway/e2e/rig"
)

func TestMain(m *testing.M) { rig.Main(m, http.DefaultClient.CloseIdleConnections) }
