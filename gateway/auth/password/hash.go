package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// hash is what a password is held against.
type hash interface {
	// matches takes the time that the hash costs, whatever the answer.
	matches(password []byte) bool
}

const argonID = "$argon2id$"

// parseHash reads a hash and refuses one that costs too much, or too little. The error does not repeat it.
func parseHash(s string) (hash, error) {
	switch {
	case strings.HasPrefix(s, argonID):
		return parseArgon(s)
	case strings.HasPrefix(s, "$2a$"), strings.HasPrefix(s, "$2b$"), strings.HasPrefix(s, "$2y$"):
		return parseBcrypt(s)
	case strings.HasPrefix(s, "$argon2"):
		return nil, errors.New("the hash is Argon2, but not Argon2id; make a new one with sluice passwd")
	case strings.HasPrefix(s, "$7$"), strings.HasPrefix(s, "$6$"):
		return nil, errors.New("the hash is one of mosquitto_passwd; make a new one with sluice passwd")
	}
	return nil, errors.New("the hash is neither Argon2id ($argon2id$v=19$...) nor bcrypt ($2b$...); make one with sluice passwd")
}

var errArgon2Costs = errors.New("the costs of the hash are not written as m=19456,t=2,p=1; make a new one with sluice passwd")

// argon is an Argon2id hash (RFC 9106).
type argon struct {
	memory, passes uint32 // KiB, and how often
	lanes          uint8
	salt, key      []byte
}

func (h *argon) matches(password []byte) bool {
	got := argon2.IDKey(password, h.salt, h.passes, h.memory, h.lanes, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(got, h.key) == 1
}

// parseArgon reads $argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$KEY.
func parseArgon(s string) (hash, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[2] != "v=19" {
		return nil, errors.New("the hash begins as Argon2id but is not $argon2id$v=19$m=...,t=...,p=...$salt$key")
	}
	var cost [3]int
	params := strings.Split(parts[3], ",")
	if len(params) != len(cost) {
		return nil, errArgon2Costs
	}
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(params[i], name)
		n, err := strconv.ParseUint(digits, 10, 31)
		if !ok || err != nil || digits != strconv.FormatUint(n, 10) {
			return nil, errArgon2Costs
		}
		cost[i] = int(n)
	}
	memory, passes, lanes := cost[0], cost[1], cost[2]
	switch {
	case memory < argonMemoryMin || memory > argonMemoryMax:
		return nil, fmt.Errorf("the hash takes m=%d KiB; it may take %d to %d", memory, argonMemoryMin, argonMemoryMax)
	case passes < 1 || passes > argonWorkMax/memory:
		return nil, fmt.Errorf("the hash takes t=%d passes; with m=%d KiB it may take 1 to %d", passes, memory, argonWorkMax/memory)
	case lanes < 1 || lanes > argonLanesMax:
		return nil, fmt.Errorf("the hash has p=%d lanes; it may have 1 to %d", lanes, argonLanesMax)
	}
	salt, err := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	if err != nil || len(salt) < argonSaltMin || len(salt) > argonSaltMax {
		return nil, fmt.Errorf("the salt of the hash is not base64 without padding of %d to %d bytes", argonSaltMin, argonSaltMax)
	}
	key, err := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err != nil || len(key) < argonKeyMin || len(key) > argonKeyMax {
		return nil, fmt.Errorf("the key of the hash is not base64 without padding of %d to %d bytes", argonKeyMin, argonKeyMax)
	}
	return &argon{uint32(memory), uint32(passes), uint8(lanes), salt, key}, nil
}

// bcrypted is a bcrypt hash.
type bcrypted []byte

func (h bcrypted) matches(password []byte) bool {
	cut := password[:min(len(password), bcryptPasswordMax)]
	return bcrypt.CompareHashAndPassword(h, cut) == nil && len(password) <= bcryptPasswordMax
}

func parseBcrypt(s string) (hash, error) {
	const length = 60 // $2b$12$, then 22 of salt and 31 of key
	h := bcrypted(s)
	cost, err := bcrypt.Cost(h)
	if err != nil || len(s) != length || strings.Trim(s[7:], "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return nil, errors.New("the hash begins as bcrypt but is none")
	}
	if cost < bcryptCostMin || cost > bcryptCostMax {
		return nil, fmt.Errorf("the hash has the cost %d; it may have %d to %d", cost, bcryptCostMin, bcryptCostMax)
	}
	return h, nil
}

// Hash makes the hash of a new password. It fails when the password is empty or too long.
func Hash(password []byte) (string, error) {
	if len(password) == 0 {
		return "", errors.New("the password is empty")
	}
	if len(password) > passwordMax {
		return "", fmt.Errorf("the password has %d bytes; it may have %d", len(password), passwordMax)
	}
	var salt [newSalt]byte
	_, _ = rand.Read(salt[:]) // never fails (crypto/rand)
	key := argon2.IDKey(password, salt[:], newPasses, newMemory, newLanes, newKey)
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("%sv=%d$m=%d,t=%d,p=%d$%s$%s", argonID, argon2.Version, newMemory, newPasses, newLanes, text(salt[:]), text(key)), nil
}
