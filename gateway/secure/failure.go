package secure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// The reasons of failed handshakes that are not about a certificate.
const (
	FailedTimeout = "timeout"
	FailedClosed  = "closed"  // by the device
	FailedNotTLS  = "not_tls" // plain MQTT on this port, or a scanner
	FailedOther   = "other"   // no version, suite or protocol in common; no certificate where one is required; an alert of the device
)

// Failure gives the reason of a failed handshake as metrics count it: one of the constants here, or of the reasons of Refused.
func Failure(err error) string {
	var (
		refused *Refused
		invalid x509.CertificateInvalidError
		unknown *tls.CertificateVerificationError
		noTLS   tls.RecordHeaderError
		network net.Error
	)
	switch {
	case errors.As(err, &refused):
		return refused.Reason
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return RefusedExpired
	case errors.As(err, &unknown):
		return RefusedUnknownCA
	case errors.As(err, &noTLS):
		return FailedNotTLS
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return FailedTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET):
		return FailedClosed
	}
	return FailedOther
}
