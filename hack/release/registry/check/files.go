package check

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sftp-operator/sftp-operator/hack/release/registry/signing"
)

// Files verifies the files of a release in a folder: that SHA256SUMS is signed, and that each file it lists is there and has
// the digest it says.
func Files(folder string, key *signing.Verifier) error {
	sums, err := os.ReadFile(filepath.Join(folder, "SHA256SUMS"))
	if err != nil {
		return err
	}
	bundle, err := os.ReadFile(filepath.Join(folder, "SHA256SUMS.sigstore.json"))
	if err != nil {
		return err
	}
	if err := key.File(bundle, sums); err != nil {
		return fmt.Errorf("SHA256SUMS: %w", err)
	}
	var wrong []error
	for line := range strings.Lines(string(sums)) {
		want, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if !filepath.IsLocal(name) {
			return fmt.Errorf("SHA256SUMS: %q is outside of the release", name)
		}
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			wrong = append(wrong, fmt.Errorf("%s: its digest is not the one in SHA256SUMS", name))
		}
	}
	return errors.Join(wrong...)
}
