package secure

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"sluice/gateway/reload"
)

// ticketUse keeps these keys apart from any others that may one day be made of the same secret.
const ticketUse = "sluice tls session tickets v1"

// period numbers the times between rotations.
func period(now time.Time) int64 { return now.Unix() / int64(ticketPeriod/time.Second) }

// ticketKeys gives the keys of a period: with the first of them tickets are made, with all of them they are accepted. Those of the period before make
// a ticket live past a rotation; that of the next one is there for nodes whose clock is ahead of ours. Whoever steals a key has those tickets, and
// no other period's.
func ticketKeys(secrets [][]byte, at int64) [][32]byte {
	keys := make([][32]byte, 0, 3*len(secrets))
	for _, secret := range secrets {
		for _, p := range []int64{at, at - 1, at + 1} {
			keys = append(keys, ticketKey(secret, p))
		}
	}
	return keys
}

func ticketKey(secret []byte, p int64) (key [32]byte) {
	info := binary.BigEndian.AppendUint64([]byte(ticketUse), uint64(p))
	b, err := hkdf.Key(sha256.New, secret, nil, string(info), len(key))
	if err != nil {
		panic(err) // only for lengths that HKDF cannot give, or secrets that FIPS 140 finds too short: secretMin is beyond
	}
	copy(key[:], b)
	return key
}

// readSecrets reads the cluster's secrets, one a line: the first one makes tickets, the others accept them.
func readSecrets(key, file string) ([][]byte, error) {
	content, err := reload.ReadFile(key, file, fileMax)
	if err != nil {
		return nil, err
	}
	var secrets [][]byte
	for line := range bytes.Lines(content) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if len(line) < secretMin {
			return nil, fmt.Errorf("%s: a secret in %q has %d bytes; at least %d are needed: make one by openssl rand -hex 32", key, file, len(line), secretMin)
		}
		secrets = append(secrets, line)
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("%s: there is no secret in %q; make one by openssl rand -hex 32, the same for all nodes", key, file)
	}
	if len(secrets) > secretsMax {
		return nil, fmt.Errorf("%s: %q has %d secrets, more than %d; one a line, and only those in use", key, file, len(secrets), secretsMax)
	}
	return secrets, nil
}
