package receipt_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// FuzzDecode: what is decoded is valid, and means the same when it is encoded again.
func FuzzDecode(f *testing.F) {
	f.Add(encode(f, example(signer(f, 0))))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := receipt.Decode(raw)
		if err != nil {
			return
		}
		again, err := receipt.Encode(r)
		if err != nil {
			if len(raw) < receipt.MaxSize/8 && r.Published.Year() < 10000 { // escapes may make it longer
				t.Fatal(err)
			}
			return
		}
		if back, err := receipt.Decode(again); err != nil || !back.Published.Equal(r.Published) || back.Path != r.Path || back.Previous != r.Previous {
			t.Errorf("%s%s%v", raw, again, err)
		}
	})
}

// FuzzSSHSignature: only what the key has signed is accepted, whatever the signature looks like.
func FuzzSSHSignature(f *testing.F) {
	s := signer(f, 0)
	raw := encode(f, example(s))
	f.Add(raw, s.SignSSH(raw))
	f.Add(raw, signer(f, 1).SignSSH(raw))
	f.Add(raw, []byte("-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"))
	all := signersOf(s)
	f.Fuzz(func(t *testing.T, message, armored []byte) {
		if v, err := all.VerifySSH(message, armored); err == nil && !bytes.Equal(v.Raw, raw) {
			t.Errorf("accepted %q", message)
		}
	})
}

// FuzzEnvelope: only what the key has signed is accepted.
func FuzzEnvelope(f *testing.F) {
	s := signer(f, 0)
	raw := encode(f, example(s))
	for _, e := range []*receipt.Envelope{s.Sign(raw), s.Sign(raw).Plain(), signer(f, 1).Sign(raw)} {
		line, err := e.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	all := signersOf(s)
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, err := all.VerifyEnvelope(data); err == nil && !bytes.Equal(v.Raw, raw) {
			t.Errorf("accepted %q", v.Raw)
		}
	})
}

// FuzzAllowedSigners: a signer that is read is the same when its line is written and read again.
func FuzzAllowedSigners(f *testing.F) {
	key := signer(f, 0).PublicKey()
	f.Add([]byte(receipt.AllowedSigner{Principal: "files/public", Key: key, ValidAfter: published, ValidBefore: published.Add(time.Hour)}.Line()))
	f.Add([]byte("# x\n\"a b\",c,!d cert-authority,namespaces=\"*\" ssh-ed25519 AAAA"))
	f.Add([]byte("\r " + string(ssh.MarshalAuthorizedKey(key))))
	f.Fuzz(func(t *testing.T, file []byte) {
		all, err := receipt.ParseAllowedSigners(file)
		if err != nil {
			return
		}
		for _, s := range all {
			_, _ = all.Key(example(signer(t, 0)))
			if s.Principal == "" || strings.ContainsAny(s.Principal, "\"# \t,") {
				continue // a line is written for a listener
			}
			back, err := receipt.ParseAllowedSigners([]byte(s.Line()))
			if err != nil || len(back) != 1 || back[0].Principal != s.Principal || !bytes.Equal(back[0].Key.Marshal(), s.Key.Marshal()) {
				t.Errorf("%q: %v", s.Line(), err)
			}
		}
	})
}
