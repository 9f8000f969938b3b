package sessionstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/sessionstore"
)

func TestRetainedQuotaDefaults(t *testing.T) {
	for _, c := range []struct{ given, want sessionstore.RetainedQuota }{
		{sessionstore.RetainedQuota{}, sessionstore.RetainedQuota{
			Messages: sessionstore.MaxRetainedMessages, Bytes: sessionstore.MaxRetainedBytes,
			PrincipalMessages: sessionstore.MaxRetainedMessages, PrincipalBytes: sessionstore.MaxRetainedBytes,
		}},
		{sessionstore.RetainedQuota{Messages: 5, Bytes: 6}, sessionstore.RetainedQuota{5, 6, 5, 6}},
		{sessionstore.RetainedQuota{5, 6, 7, 8}, sessionstore.RetainedQuota{5, 6, 7, 8}},
	} {
		if diff := cmp.Diff(c.want, c.given.OrDefault()); diff != "" {
			t.Errorf("%+v: %s", c.given, diff)
		}
	}
}

func TestRefusalNamesTheLimit(t *testing.T) {
	q := sessionstore.RetainedQuota{Messages: 11, Bytes: 22, PrincipalMessages: 33, PrincipalBytes: 44}
	for limit, words := range map[sessionstore.RetainedLimit][]string{
		sessionstore.TenantMessages: {"tenant", "11 retained"}, sessionstore.TenantBytes: {"tenant", "22 bytes"},
		sessionstore.PrincipalMessages: {"principal", "33 retained"}, sessionstore.PrincipalBytes: {"principal", "44 bytes"},
	} {
		err := q.Refuse(limit)
		for _, word := range words {
			if !errors.Is(err, sessionstore.ErrFull) || !strings.Contains(err.Error(), word) {
				t.Errorf("%d: %v, want ErrFull that names %q", limit, err, word)
			}
		}
	}
}
