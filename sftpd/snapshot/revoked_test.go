package snapshot_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// matches reports whether an entry names a certificate, by its key ID or by its serial number; 0 means no serial number.
func matches(r config.RevokedCertificate, ca string, serial uint64, keyID string) bool {
	last := max(r.LastSerial, r.Serial)
	return (r.CA == "" || r.CA == ca) &&
		(r.KeyID != "" && r.KeyID == keyID || r.Serial != 0 && r.Serial <= serial && serial <= last)
}

// TestRevoked: certificates and keys named by any entry of the list are revoked, and no others.
func TestRevoked(t *testing.T) {
	dir := configtest.New(t)
	dir.Write(t)
	files, err := config.Read(dir.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	cas, ids, keys := []string{"", "SHA256:one", "SHA256:two"}, []string{"", "ada", "grace"}, []string{"SHA256:a", "SHA256:b", "SHA256:c"}
	revoked := 0
	for range 300 {
		list := config.Revoked{}
		for range r.IntN(4) {
			c := config.RevokedCertificate{CA: cas[r.IntN(3)]}
			if r.IntN(3) == 0 {
				c.KeyID = ids[1+r.IntN(2)]
			} else if c.Serial = 1 + r.Uint64N(5); r.IntN(2) == 0 {
				c.LastSerial = c.Serial + r.Uint64N(4)
			}
			list.Certificates = append(list.Certificates, c)
		}
		list.Keys = keys[:r.IntN(3)]
		files.Listener.Revoked = list
		s, err := snapshot.Build(files, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for i, k := range keys {
			if s.KeyRevoked(k) != (i < len(list.Keys)) {
				t.Errorf("%v: key %s", list.Keys, k)
			}
		}
		for _, ca := range cas[1:] {
			for _, id := range ids {
				for serial := range uint64(10) {
					want := false
					for _, c := range list.Certificates {
						want = want || matches(c, ca, serial, id)
					}
					if want {
						revoked++
					}
					if got := s.CertificateRevoked(ca, serial, id); got != want {
						t.Fatalf("%+v: %s, %d, %q: %v, want %v", list.Certificates, ca, serial, id, got, want)
					}
				}
			}
		}
	}
	if revoked < 1000 {
		t.Errorf("only %d were revoked", revoked)
	}
}

// TestTrustedUserCAs: each CA of the list is trusted, and no other.
func TestTrustedUserCAs(t *testing.T) {
	one, _ := configtest.Key(t)
	two, _ := configtest.Key(t)
	other, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.Listener.Authentication.TrustedUserCAs = []string{configtest.Line(one.PublicKey()), configtest.Line(two.PublicKey())}
	s, err := build(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if !s.TrustsUserCA(one.PublicKey().Marshal()) || !s.TrustsUserCA(two.PublicKey().Marshal()) || s.TrustsUserCA(other.PublicKey().Marshal()) {
		t.Error("other CAs are trusted than those of the list")
	}
}
