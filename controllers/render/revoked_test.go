package render

import (
	"slices"
	"testing"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// An unusable entry is named, and the others apply.
func TestRevoked(t *testing.T) {
	const (
		fingerprint = "SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI"
		tooShort    = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAIQDGCd/Xgdp3iD0V0jn3R5mgpkNkVvCkkYLf0YkFzGVnHw=="
	)
	l := &v1alpha1.SFTPListener{Spec: v1alpha1.SFTPListenerSpec{RevokedKeys: []v1alpha1.RevokedKey{
		{Fingerprint: fingerprint},
		{PublicKey: "ssh-ed25519 AAAA"},
		{PublicKey: `from="192.0.2.1" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f lost`},
		{PublicKey: tooShort},
		{Fingerprint: fingerprint[:20]},
		{Certificate: &v1alpha1.RevokedCertificate{CAFingerprint: fingerprint, Serial: "18446744073709551615"}},
		{Certificate: &v1alpha1.RevokedCertificate{KeyID: "ada@corp"}},
		{Certificate: &v1alpha1.RevokedCertificate{CAFingerprint: fingerprint, Serial: "18446744073709551616"}},
		{Certificate: &v1alpha1.RevokedCertificate{Serial: "7"}},
	}}}
	out, problems := Revoked(l)
	if len(out.Keys) != 3 || out.Keys[0] != fingerprint || out.Keys[1] != "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA" {
		t.Errorf("revoked: %q", out.Keys)
	}
	certificates := []config.RevokedCertificate{{CA: fingerprint, Serial: 18446744073709551615}, {KeyID: "ada@corp"}}
	if !slices.Equal(out.Certificates, certificates) {
		t.Errorf("revoked: %+v", out.Certificates)
	}
	want := []string{
		`spec.revokedKeys[1] revokes nothing: publicKey is not a public key; it must look like "ssh-ed25519 AAAA... comment", the line in the .pub file`,
		`spec.revokedKeys[4] revokes nothing: fingerprint is not in the form that ssh-keygen -l prints`,
		`spec.revokedKeys[7] revokes nothing: certificate.serial "18446744073709551616" is not a number from 1 to 18446744073709551615`,
		`spec.revokedKeys[8] revokes nothing: certificate: a serial number requires the fingerprint of the CA that assigned it`,
	}
	if !slices.Equal(problems, want) {
		t.Errorf("problems: %q", problems)
	}
}
