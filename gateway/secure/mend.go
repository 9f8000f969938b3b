package secure

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// Mend adds to an error of a connection made with Client what to do about it, if it is about the certificate of the other side. key is the one of
// ClientFiles.
func Mend(key string, err error) error {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; name the file with the CA of the other side's certificate in %s.ca", err, key)
	case errors.As(err, &name):
		return fmt.Errorf("%w; use a name of the certificate in the URL, or set %s.server_name to one", err, key)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w; renew the certificate of the other side, or set this machine's clock", err)
	}
	return err
}
