package render

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

const (
	aKey          = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	itsFinger     = "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA"
	anotherFinger = "SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI"
)

func policyNamed(t *testing.T, name string) cryptopolicy.Policy {
	t.Helper()
	policy, err := cryptopolicy.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func noFiles(v1alpha1.SecretFileReference) SecretFile { return SecretFile{NoSecret: true} }

func messages(problems []credentials.Problem) (out []string) {
	for _, p := range problems {
		out = append(out, p.Reason+": "+p.Message)
	}
	return out
}

// An unusable CA is named; pods get those that are public keys, without duplicates.
func TestUserCAs(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	nist := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
	l := &v1alpha1.SFTPListener{}
	l.Namespace = "files"
	l.Spec.Authentication.TrustedUserCAs = []string{
		aKey + " ca@corp", "ssh-ed25519 AAAA", "cert-authority " + aKey, `from="192.0.2.1" ` + aKey,
	}
	l.Spec.Authentication.TrustedUserCAsSecretRefs = []v1alpha1.SecretFileReference{
		{Name: "cas", Key: "a"}, {Name: "cas", Key: "empty"}, {Name: "cas", Key: "none"}, {Name: "gone", Key: "a"},
	}
	file := func(ref v1alpha1.SecretFileReference) SecretFile {
		switch ref {
		case v1alpha1.SecretFileReference{Name: "cas", Key: "a"}:
			return SecretFile{Data: []byte("# ours\r\n" + aKey + " again\r\n\nssh-rsa AAAA\n" + nist)}
		case v1alpha1.SecretFileReference{Name: "cas", Key: "empty"}:
			return SecretFile{Data: []byte("# no one\n")}
		case v1alpha1.SecretFileReference{Name: "cas", Key: "none"}:
			return SecretFile{NoEntry: true}
		}
		return SecretFile{NoSecret: true}
	}
	trust, problems := ResolveTrust(l, policyNamed(t, cryptopolicy.Strict2026), file, nil)
	if !slices.Equal(trust.UserCAs, []string{aKey, nist}) || trust.Unknown {
		t.Errorf("pods get %+v", trust)
	}
	want := []string{
		`InvalidUserCA: spec.authentication.trustedUserCAs[1]: the key after "ssh-ed25519" is damaged or incomplete; copy the whole line of the .pub file again`,
		`InvalidUserCA: spec.authentication.trustedUserCAs[2]: option "cert-authority" is not supported; remove it (only from= is understood)`,
		`InvalidUserCA: spec.authentication.trustedUserCAs[3]: from= has no meaning before the key of a CA; its certificates can have the option source-address`,
		`InvalidUserCA: Secret "cas", entry "a", line 4: the key after "ssh-rsa" is damaged or incomplete; copy the whole line of the .pub file again`,
		`InvalidUserCA: Secret "cas", entry "a", line 5: crypto policy Strict2026 does not allow keys of type ecdsa-sha2-nistp256; create a new key, preferably Ed25519`,
		`InvalidUserCA: Secret "cas", entry "empty" holds no public key; add the line of the CA's .pub file, or remove it from spec.authentication.trustedUserCAsSecretRefs`,
		`SecretKeyMissing: Secret "cas" has no entry "none", and its CAs are not trusted; add it or correct spec.authentication.trustedUserCAsSecretRefs`,
		`SecretNotFound: Secret "gone" does not exist in namespace "files", and its CAs are not trusted; create it or correct spec.authentication.trustedUserCAsSecretRefs`,
	}
	if got := messages(problems); !slices.Equal(got, want) {
		t.Errorf("problems:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTooManyUserCAs(t *testing.T) {
	var lines bytes.Buffer
	for range maxUserCAs + 1 {
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(ssh.MarshalAuthorizedKey(key))
	}
	l := &v1alpha1.SFTPListener{}
	l.Spec.Authentication.TrustedUserCAsSecretRefs = []v1alpha1.SecretFileReference{{Name: "cas", Key: "a"}}
	trust, problems := ResolveTrust(l, policyNamed(t, cryptopolicy.Default), func(v1alpha1.SecretFileReference) SecretFile {
		return SecretFile{Data: lines.Bytes()}
	}, nil)
	want := []string{`InvalidUserCA: Secret "cas", entry "a", line 65: a listener trusts 64 CAs at most, so this one is not trusted; remove those that are not needed`}
	if got := messages(problems); len(trust.UserCAs) != maxUserCAs || !slices.Equal(got, want) {
		t.Errorf("%d CAs, %q", len(trust.UserCAs), got)
	}
}

// trusted is what the pods last got, nil if they never got anything.
func trusted(revoked *config.Revoked) *Trust {
	if revoked == nil {
		return nil
	}
	return &Trust{Revoked: *revoked}
}

// A list of CAs that has not been read yet removes no CA, and a deleted one does. A list of revoked keys that has not been read
// keeps what was revoked; if nothing is known, pods must not start.
func TestListsThatAreNotReadYet(t *testing.T) {
	l := &v1alpha1.SFTPListener{}
	l.Spec.Authentication.TrustedUserCAs = []string{aKey}
	l.Spec.Authentication.TrustedUserCAsSecretRefs = []v1alpha1.SecretFileReference{{Name: "cas", Key: "list"}}
	l.Spec.RevokedKeysSecretRefs = []v1alpha1.SecretFileReference{{Name: "lost", Key: "krl"}}
	before := &Trust{UserCAs: []string{"ssh-ed25519 AAAA"}, Revoked: config.Revoked{Keys: []string{anotherFinger}}}
	for name, tc := range map[string]struct {
		file     SecretFile
		previous *Trust
		cas      int
		revoked  []string
		unknown  bool
		problems int
	}{
		"not read yet":                   {SecretFile{Unread: true}, before, 2, []string{anotherFinger}, false, 0},
		"not read yet, at the beginning": {SecretFile{Unread: true}, nil, 1, nil, true, 0},
		"gone":                           {SecretFile{NoSecret: true}, before, 1, []string{anotherFinger}, false, 2},
	} {
		got, problems := ResolveTrust(l, policyNamed(t, cryptopolicy.Default), func(v1alpha1.SecretFileReference) SecretFile { return tc.file }, tc.previous)
		if len(got.UserCAs) != tc.cas || !slices.Equal(got.Revoked.Keys, tc.revoked) || got.Unknown != tc.unknown || len(problems) != tc.problems {
			t.Errorf("%s: %+v, problems %v", name, got, problems)
		}
	}
}

// While a list cannot be read, nothing that was revoked becomes valid again.
func TestRevokedLists(t *testing.T) {
	const (
		stays   = `and what was revoked before stays revoked`
		missing = `SecretNotFound: Secret "lost" does not exist in namespace "files", ` + stays + `; create it or correct spec.revokedKeysSecretRefs`
		entry   = `SecretKeyMissing: Secret "lost" has no entry "krl", ` + stays + `; add it or correct spec.revokedKeysSecretRefs`
		damaged = `InvalidRevokedKey: Secret "lost", entry "krl" cannot be read, ` + stays + `: line 2: not a public key; it must look like "ssh-ed25519 AAAA... comment", the line in the .pub file`
		many    = `InvalidRevokedKey: spec.revokedKeysSecretRefs revoke more than 4096 keys, serial numbers and key IDs, ` + stays + `; remove those that have expired`
	)
	keys := func(list ...string) config.Revoked { return config.Revoked{Keys: list} }
	ada := config.RevokedCertificate{KeyID: "ada"}
	before := config.Revoked{Keys: []string{anotherFinger}, Certificates: []config.RevokedCertificate{ada}}
	list := func(text string) SecretFile { return SecretFile{Data: []byte(text)} }
	full := make([]byte, 0, 60*config.MaxRevoked)
	for i := range config.MaxRevoked {
		full = fmt.Appendf(full, "SHA256:%042dA\n", i)
	}
	for name, tc := range map[string]struct {
		inline   bool // it revokes aKey
		file     SecretFile
		previous *config.Revoked
		want     config.Revoked
		unknown  bool
		problems []string
	}{
		"a list":                    {false, list(aKey + " lost\n"), nil, keys(itsFinger), false, nil},
		"both":                      {true, list(anotherFinger + "\n" + itsFinger), nil, keys(itsFinger, anotherFinger), false, nil},
		"an empty list":             {false, list("# nothing\n"), &before, config.Revoked{}, false, nil},
		"shorter than before":       {false, list(itsFinger), &before, keys(itsFinger), false, nil},
		"the Secret is gone":        {false, SecretFile{NoSecret: true}, &before, before, false, []string{missing}},
		"the entry is gone":         {false, SecretFile{NoEntry: true}, &before, before, false, []string{entry}},
		"the list is damaged":       {false, list(itsFinger + "\nx"), &before, before, false, []string{damaged}},
		"gone, and one more inline": {true, SecretFile{NoSecret: true}, &before, config.Revoked{Keys: []string{itsFinger, anotherFinger}, Certificates: before.Certificates}, false, []string{missing}},
		"gone before the first pod": {true, SecretFile{NoSecret: true}, nil, config.Revoked{}, true, []string{missing}},
		"gone, nothing was revoked": {false, SecretFile{NoSecret: true}, &config.Revoked{}, config.Revoked{}, false, []string{missing}},
		"too many":                  {true, list(string(full)), &before, config.Revoked{Keys: []string{itsFinger, anotherFinger}, Certificates: before.Certificates}, false, []string{many}},
	} {
		t.Run(name, func(t *testing.T) {
			l := &v1alpha1.SFTPListener{}
			l.Namespace = "files"
			if tc.inline {
				l.Spec.RevokedKeys = []v1alpha1.RevokedKey{{PublicKey: aKey}}
			}
			l.Spec.RevokedKeysSecretRefs = []v1alpha1.SecretFileReference{{Name: "lost", Key: "krl"}}
			trust, problems := ResolveTrust(l, policyNamed(t, cryptopolicy.Default), func(v1alpha1.SecretFileReference) SecretFile { return tc.file }, trusted(tc.previous))
			if !reflect.DeepEqual(trust.Revoked, tc.want) || trust.Unknown != tc.unknown {
				t.Errorf("%+v, want %+v", trust, tc.want)
			}
			if got := messages(problems); !slices.Equal(got, tc.problems) {
				t.Errorf("problems: %q", got)
			}
		})
	}
}

// What is kept never exceeds what pods accept, and the current spec takes precedence.
func TestKeptIsBounded(t *testing.T) {
	var previous config.Revoked
	for i := range config.MaxRevoked {
		previous.Keys = append(previous.Keys, fmt.Sprintf("SHA256:%042dA", i))
	}
	l := &v1alpha1.SFTPListener{}
	l.Spec.RevokedKeys = []v1alpha1.RevokedKey{{PublicKey: aKey}}
	l.Spec.RevokedKeysSecretRefs = []v1alpha1.SecretFileReference{{Name: "lost", Key: "krl"}}
	trust, _ := ResolveTrust(l, policyNamed(t, cryptopolicy.Default), noFiles, &Trust{Revoked: previous})
	if got := trust.Revoked.Keys; len(got) != config.MaxRevoked || got[0] != itsFinger || got[1] != previous.Keys[0] {
		t.Errorf("%d keys", len(got))
	}
}

// A Secret has room for half a million wrong lines. A problem for each would take hundreds of megabytes, in every copy.
func TestManyWrongLines(t *testing.T) {
	l := &v1alpha1.SFTPListener{}
	l.Spec.Authentication.TrustedUserCAsSecretRefs = []v1alpha1.SecretFileReference{{Name: "cas", Key: "a"}}
	data := []byte(strings.Repeat("x\n", 500_000) + aKey + "\n")
	got, problems := ResolveTrust(l, policyNamed(t, "Modern2026"), func(v1alpha1.SecretFileReference) SecretFile { return SecretFile{Data: data} }, nil)
	if len(got.UserCAs) != 1 || len(problems) != maxWrongLines+1 {
		t.Fatalf("%d CAs, %d problems", len(got.UserCAs), len(problems))
	}
	if last := problems[maxWrongLines].Message; last != `Secret "cas", entry "a" has 499992 more invalid lines` {
		t.Errorf("%s", last)
	}
}
