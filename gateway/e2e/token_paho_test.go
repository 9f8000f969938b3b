package e2e

import (
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"sluice/gateway/e2e/rig"
	"sluice/mqtt/packet"
)

// holder is what paho.golang calls while it authenticates.
type holder struct{ authenticated chan struct{} }

func (h holder) Authenticate(*paho.Auth) *paho.Auth { return nil } // only for methods of several steps
func (h holder) Authenticated()                     { h.authenticated <- struct{}{} }

// A client library that somebody else has written connects with a token, renews it, and learns of its end.
func TestPahoRenewsItsToken(t *testing.T) {
	i := newIssuer(t)
	n := rig.Start(t, rig.Embedded(), i.settings()...)
	conn, err := net.Dial("tcp", n.TCP)
	if err != nil {
		t.Fatal(err)
	}
	h := holder{make(chan struct{}, 100)}
	ended := make(chan *paho.Disconnect, 1)
	client := paho.NewClient(paho.ClientConfig{
		ClientID: "dev", Conn: conn, AuthHandler: h, PacketTimeout: rig.Patience, OnServerDisconnect: func(d *paho.Disconnect) { ended <- d },
	})
	defer func() {
		_ = conn.Close()
		<-client.Done()
	}()
	ctx := rig.Context(t)
	if _, err := client.Connect(ctx, &paho.Connect{ClientID: "dev", CleanStart: true, KeepAlive: 30,
		Properties: &paho.ConnectProperties{AuthMethod: "OAUTH2-JWT", AuthData: []byte(i.token("pump", time.Hour))}}); err != nil {
		t.Fatal(err)
	}
	<-h.authenticated
	// Only the last one is to end within the test: a machine that stands still for seconds must not end one before.
	for _, life := range []time.Duration{2 * time.Hour, time.Hour, 5 * time.Second} {
		answer, err := client.Authenticate(ctx, &paho.Auth{ReasonCode: byte(packet.ReAuthenticate),
			Properties: &paho.AuthProperties{AuthMethod: "OAUTH2-JWT", AuthData: []byte(i.token("pump", life))}})
		if err != nil || !answer.Success {
			t.Fatal(answer, err)
		}
		<-h.authenticated
		if life < time.Hour {
			break
		}
		if _, err := client.Publish(ctx, &paho.Publish{Topic: "a", QoS: 1}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case d := <-ended:
		if packet.ReasonCode(d.ReasonCode) != packet.NotAuthorized {
			t.Errorf("DISCONNECT %v", packet.ReasonCode(d.ReasonCode))
		}
	case <-ctx.Done():
		t.Fatal("the end of the token was not told")
	}
}
