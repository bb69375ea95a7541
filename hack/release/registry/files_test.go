package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/sftp-operator/sftp-operator/hack/release/registry/signing"
)

func (p *published) file(name string) string   { return filepath.Join(p.dist, name) }
func (p *published) layout(name string) string { return filepath.Join(p.dist, name) }

// plugin returns an archive of the plug-in.
func (p *published) plugin(t *testing.T) string {
	t.Helper()
	archives := must(filepath.Glob(p.file("kubectl-sftp_*")))(t)
	if len(archives) == 0 {
		t.Fatalf("no plug-in in %s", p.dist)
	}
	return archives[0]
}

func edit(t *testing.T, file string) {
	t.Helper()
	data := must(os.ReadFile(file))(t)
	data[len(data)/2] ^= 1
	write(t, file, data)
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func sumOf(t *testing.T, file string) string {
	t.Helper()
	sum := sha256.Sum256(must(os.ReadFile(file))(t))
	return hex.EncodeToString(sum[:])
}

// editList changes SHA256SUMS, and keeps its signature.
func (p *published) editList(t *testing.T, change func(list string) string) {
	t.Helper()
	list := string(must(os.ReadFile(p.file("SHA256SUMS")))(t))
	changed := change(list)
	if changed == list {
		t.Fatalf("nothing to change in SHA256SUMS:\n%s", list)
	}
	write(t, p.file("SHA256SUMS"), []byte(changed))
}

// nextDigit returns another hexadecimal digit.
func nextDigit(digit rune) rune {
	if digit == '0' {
		return '1'
	}
	return '0'
}

// signList writes another SHA256SUMS with a valid signature, as a holder of the key could.
func (p *published) signList(t *testing.T, list string) {
	t.Helper()
	write(t, p.file("SHA256SUMS"), []byte(list))
	write(t, p.file("SHA256SUMS.sigstore.json"), must(signing.WithKey(p.key).Sign([]byte(list)))(t))
}

// editSignature changes the signature of SHA256SUMS, and nothing else in its bundle.
func (p *published) editSignature(t *testing.T) {
	t.Helper()
	var bundle struct {
		MediaType            string          `json:"mediaType"`
		VerificationMaterial json.RawMessage `json:"verificationMaterial"`
		MessageSignature     struct {
			MessageDigest json.RawMessage `json:"messageDigest"`
			Signature     []byte          `json:"signature"`
		} `json:"messageSignature"`
	}
	if err := json.Unmarshal(must(os.ReadFile(p.file("SHA256SUMS.sigstore.json")))(t), &bundle); err != nil {
		t.Fatal(err)
	}
	bundle.MessageSignature.Signature[len(bundle.MessageSignature.Signature)-1] ^= 1
	write(t, p.file("SHA256SUMS.sigstore.json"), must(json.Marshal(bundle))(t))
}
