package render

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

func TestStatesOfHostKeys(t *testing.T) {
	for state, want := range map[v1alpha1.HostKeyState]string{
		v1alpha1.HostKeyStaged: config.HostKeyStaged, v1alpha1.HostKeyAdvertised: config.HostKeyAdvertised,
		v1alpha1.HostKeyActive: config.HostKeyActive, v1alpha1.HostKeyRetiring: config.HostKeyRetiring, "": config.HostKeyActive,
	} {
		if got := StateInConfig(state); got != want {
			t.Errorf("%q is %q in the configuration, want %q", state, got, want)
		}
	}
}

// Host keys are the given ones; any others in the settings do not reach the pods.
func TestComposeReplacesHostKeys(t *testing.T) {
	settings := Settings(readListener(t, "minimal"), Trust{}, PodVolumePath)
	settings.HostKeys = []config.HostKey{{State: config.HostKeyRetiring, Certificate: "old"}}
	keys := []PrivateHostKey{{Private: []byte("key"), State: v1alpha1.HostKeyActive}}
	_, got, err := Compose(settings, keys, nil, nil)
	settings.HostKeys = nil
	_, want, err2 := Compose(settings, keys, nil, nil)
	if err != nil || err2 != nil || got != want {
		t.Errorf("digest %s, %v; want %s, %v", got, err, want, err2)
	}
}

// A damaged line, and a key of a type for which SSHFP has no number, get no record.
func TestNoSSHFP(t *testing.T) {
	blob := ssh.Marshal(struct {
		Type, Key, Application string
	}{ssh.KeyAlgoSKED25519, strings.Repeat("k", 32), "ssh:"})
	keys := []v1alpha1.HostKeyStatus{
		{PublicKey: "ssh-ed25519 AAAA", State: v1alpha1.HostKeyActive},
		{PublicKey: ssh.KeyAlgoSKED25519 + " " + base64.StdEncoding.EncodeToString(blob), State: v1alpha1.HostKeyActive},
	}
	if _, _, _, _, err := ssh.ParseAuthorizedKey([]byte(keys[1].PublicKey)); err != nil {
		t.Fatal(err)
	}
	if got := SSHFP(keys); got != nil {
		t.Errorf("records %q", got)
	}
}

func TestSamplingOfTraces(t *testing.T) {
	l := readListener(t, "minimal")
	l.Spec.Tracing = v1alpha1.ListenerTracing{Endpoint: "http://collector:4318"}
	for want, percent := range map[int]*int32{100: nil, 25: new(int32(25))} {
		l.Spec.Tracing.SamplingPercent = percent
		if got := Settings(l, Trust{}, PodVolumePath).Tracing; got.SamplingPercent != want {
			t.Errorf("%+v, want %d percent", got, want)
		}
	}
}

// A key must also work under the policy that follows the current one, if there is one.
func TestHostKeyUnderTheNextPolicy(t *testing.T) {
	short, _, _, _, err := ssh.ParseAuthorizedKey([]byte("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAIQDGCd/Xgdp3iD0V0jn3R5mgpkNkVvCkkYLf0YkFzGVnHw=="))
	if err != nil {
		t.Fatal(err)
	}
	p := Policy{Policy: policyNamed(t, cryptopolicy.Legacy2026)}
	p.MinRSABits = 1
	if err := p.CheckHostKey(short); err != nil || len(p.Policies()) != 1 {
		t.Errorf("without an end: %v under %d policies", err, len(p.Policies()))
	}
	p.Expires = new(metav1.NewTime(time.Date(2027, 6, 30, 22, 0, 0, 0, time.UTC)))
	if err := p.CheckHostKey(short); err == nil || !strings.Contains(err.Error(), "crypto policy Modern2026") {
		t.Errorf("with an end: %v", err)
	}
}

func TestRevokedCertificates(t *testing.T) {
	const ca = "SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI"
	l := &v1alpha1.SFTPListener{Spec: v1alpha1.SFTPListenerSpec{RevokedKeys: []v1alpha1.RevokedKey{
		{Certificate: &v1alpha1.RevokedCertificate{CAFingerprint: ca, Serial: "0"}},
		{Certificate: &v1alpha1.RevokedCertificate{CAFingerprint: ca}},
		{Certificate: &v1alpha1.RevokedCertificate{CAFingerprint: ca, Serial: "7", KeyID: "both"}},
		{Certificate: &v1alpha1.RevokedCertificate{CAFingerprint: ca[:9], KeyID: "ada"}},
	}}}
	trust, problems := ResolveTrust(l, policyNamed(t, cryptopolicy.Default), noFiles, nil)
	want := []string{
		`InvalidRevokedKey: spec.revokedKeys[0] revokes nothing: certificate.serial "0" is not a number from 1 to 18446744073709551615`,
		`InvalidRevokedKey: spec.revokedKeys[1] revokes nothing: certificate: either a serial number or a key ID must be set`,
		`InvalidRevokedKey: spec.revokedKeys[2] revokes nothing: certificate: either a serial number or a key ID must be set`,
		`InvalidRevokedKey: spec.revokedKeys[3] revokes nothing: certificate: "SHA256:fp" is not the SHA-256 fingerprint of a CA's key`,
	}
	if got := messages(problems); !slices.Equal(got, want) || len(trust.Revoked.Certificates) != 0 {
		t.Errorf("%+v, problems:\n%s", trust.Revoked, strings.Join(got, "\n"))
	}
}

// In a list of CAs, a line of one character is a damaged key, and only # begins a comment.
func TestShortestLineOfCAs(t *testing.T) {
	l := &v1alpha1.SFTPListener{}
	l.Spec.Authentication.TrustedUserCAsSecretRefs = []v1alpha1.SecretFileReference{{Name: "cas", Key: "a"}}
	file := func(v1alpha1.SecretFileReference) SecretFile { return SecretFile{Data: []byte("#\nx\n")} }
	_, problems := ResolveTrust(l, policyNamed(t, cryptopolicy.Default), file, nil)
	want := []string{`InvalidUserCA: Secret "cas", entry "a", line 2: not a public key; it must look like "ssh-ed25519 AAAA... comment", the line in the .pub file`}
	if got := messages(problems); !slices.Equal(got, want) {
		t.Errorf("problems %q", got)
	}
}

// A single list that has not been read keeps what was trusted, whatever its position, up to 64 CAs.
func TestOneOfTheListsOfCAsIsUnread(t *testing.T) {
	l := &v1alpha1.SFTPListener{}
	before := &Trust{}
	for i := range 70 {
		before.UserCAs = append(before.UserCAs, fmt.Sprint("ca ", i))
	}
	for _, names := range [][]string{{"unread", "a"}, {"a", "unread"}} {
		l.Spec.Authentication.TrustedUserCAsSecretRefs = nil
		for _, n := range names {
			l.Spec.Authentication.TrustedUserCAsSecretRefs = append(l.Spec.Authentication.TrustedUserCAsSecretRefs, v1alpha1.SecretFileReference{Name: n, Key: "k"})
		}
		trust, _ := ResolveTrust(l, policyNamed(t, cryptopolicy.Default), func(ref v1alpha1.SecretFileReference) SecretFile {
			return SecretFile{Unread: ref.Name == "unread", Data: []byte(aKey)}
		}, before)
		if got := trust.UserCAs; len(got) != 64 || got[0] != aKey || got[63] != "ca 62" {
			t.Errorf("%v: %d CAs", names, len(got))
		}
	}
}

// If there are several lists, each counts. Those that were read apply while another one is not, and their total is limited.
func TestSeveralRevokedLists(t *testing.T) {
	l := &v1alpha1.SFTPListener{}
	for _, n := range []string{"a", "b", "c"} {
		l.Spec.RevokedKeysSecretRefs = append(l.Spec.RevokedKeysSecretRefs, v1alpha1.SecretFileReference{Name: n, Key: "k"})
	}
	resolve := func(previous *Trust, a, b, c SecretFile) (Trust, []string) {
		files := map[string]SecretFile{"a": a, "b": b, "c": c}
		trust, problems := ResolveTrust(l, policyNamed(t, cryptopolicy.Default), func(ref v1alpha1.SecretFileReference) SecretFile { return files[ref.Name] }, previous)
		return trust, messages(problems)
	}
	list := func(from, to int) SecretFile {
		var lines []byte
		for i := from; i < to; i++ {
			lines = fmt.Appendf(lines, "SHA256:%042dA\n", i)
		}
		return SecretFile{Data: lines}
	}
	keys := func(from, to int) (out []string) {
		for i := from; i < to; i++ {
			out = append(out, fmt.Sprintf("SHA256:%042dA", i))
		}
		return out
	}
	if got, problems := resolve(nil, list(0, 2), list(1, 3), list(7, 8)); !slices.Equal(got.Revoked.Keys, append(keys(0, 3), keys(7, 8)...)) || problems != nil {
		t.Errorf("%+v, %q", got, problems)
	}
	before := &Trust{Revoked: config.Revoked{Keys: keys(9, 10)}}
	for name, unreadable := range map[string]SecretFile{"gone": {NoSecret: true}, "damaged": {Data: []byte("x")}} {
		if got, problems := resolve(before, list(0, 1), unreadable, list(1, 2)); !slices.Equal(got.Revoked.Keys, append(keys(9, 10), keys(0, 2)...)) || len(problems) != 1 {
			t.Errorf("%s: %+v, %q", name, got, problems)
		}
	}
	if got, problems := resolve(nil, list(0, 1000), list(1000, 2000), list(2000, 4096)); len(got.Revoked.Keys) != 4096 || problems != nil {
		t.Errorf("4096 keys: %d, %q", len(got.Revoked.Keys), problems)
	}
	// A certificate is treated like a key.
	l.Spec.RevokedKeys = []v1alpha1.RevokedKey{{Certificate: &v1alpha1.RevokedCertificate{KeyID: "ada"}}}
	if got, problems := resolve(before, list(0, 1000), list(1000, 2000), list(2000, 4096)); len(problems) != 1 || !slices.Equal(got.Revoked.Keys, keys(9, 10)) || len(got.Revoked.Certificates) != 1 {
		t.Errorf("4096 keys and a certificate: %d and %d, %q", len(got.Revoked.Keys), len(got.Revoked.Certificates), problems)
	}
	before.Revoked = config.Revoked{Keys: keys(5000, 5000+4090)}
	for i := range 10 {
		before.Revoked.Certificates = append(before.Revoked.Certificates, config.RevokedCertificate{KeyID: strconv.Itoa(i)})
	}
	got, _ := resolve(before, SecretFile{NoSecret: true}, list(0, 0), list(0, 0))
	want := append([]config.RevokedCertificate{{KeyID: "ada"}}, before.Revoked.Certificates[:5]...)
	if !reflect.DeepEqual(got.Revoked, config.Revoked{Keys: before.Revoked.Keys, Certificates: want}) {
		t.Errorf("%d keys and %+v", len(got.Revoked.Keys), got.Revoked.Certificates)
	}
}
