package hostkeys

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/hostkey"
)

// The certificates for metrics are those that clients rely on: one of each SFTPKey, the first to expire, with the time at which it
// becomes due for renewal: a week before its end or the last sixth of a shorter lifetime.
func TestCertificatesThatExpire(t *testing.T) {
	const day = 24 * 3600
	from := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	certificate := func(days uint64) *ssh.Certificate {
		begin := uint64(from.Unix())
		if days == 0 {
			return &ssh.Certificate{ValidAfter: begin, ValidBefore: ssh.CertTimeInfinity}
		}
		return &ssh.Certificate{ValidAfter: begin, ValidBefore: begin + days*day}
	}
	s := &resolution{material: map[string]Material{}}
	var keys []hostkey.Held
	for _, k := range []struct {
		fingerprint, name string
		state             v1alpha1.HostKeyState
		of                *ssh.Certificate
	}{
		{"1", "ed25519", v1alpha1.HostKeyActive, certificate(90)},
		{"2", "ed25519", v1alpha1.HostKeyAdvertised, certificate(60)},
		{"3", "ed25519", v1alpha1.HostKeyStaged, certificate(1)},
		{"4", "ecdsa", v1alpha1.HostKeyRetiring, certificate(1)},
		{"5", "ecdsa", v1alpha1.HostKeyActive, certificate(6)},
		{"6", "rsa", v1alpha1.HostKeyActive, certificate(0)},
		{"7", "none", v1alpha1.HostKeyActive, nil},
	} {
		s.material[k.fingerprint] = Material{Certificate: k.of}
		keys = append(keys, hostkey.Held{Key: hostkey.Key{Name: k.name, Fingerprint: k.fingerprint}, State: k.state})
	}
	at := func(days int) time.Time { return from.AddDate(0, 0, days) }
	want := []Certificate{{"ed25519", at(53), at(60)}, {"ecdsa", at(5), at(6)}}
	have := s.certificates(keys)
	if !slices.EqualFunc(have, want, func(a, b Certificate) bool {
		return a.Key == b.Key && a.Renewal.Equal(b.Renewal) && a.End.Equal(b.End)
	}) {
		t.Errorf("%+v, want %+v", have, want)
	}
}
