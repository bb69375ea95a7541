package receipt

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// AllowedSigner is a key that may sign receipts of a listener: a line of a file of allowed signers, see ssh-keygen(1).
type AllowedSigner struct {
	// Principal is namespace/name of the SFTPListener.
	Principal string
	Key       ssh.PublicKey
	// ValidAfter and ValidBefore bound when a receipt may have been published; zero times do not.
	ValidAfter, ValidBefore time.Time
}

// timeLayout is the layout of valid-after and valid-before in UTC, which OpenSSH 9.1 and later support.
const timeLayout = "20060102150405Z"

// Line returns the line of the file, with a newline.
func (s AllowedSigner) Line() string {
	options := []string{`namespaces="` + Namespace + `"`}
	if !s.ValidAfter.IsZero() {
		options = append(options, `valid-after="`+s.ValidAfter.UTC().Format(timeLayout)+`"`)
	}
	if !s.ValidBefore.IsZero() {
		options = append(options, `valid-before="`+s.ValidBefore.UTC().Format(timeLayout)+`"`)
	}
	return s.Principal + " " + strings.Join(options, ",") + " " + string(ssh.MarshalAuthorizedKey(s.Key))
}

// Signers are the keys that may sign receipts.
type Signers []AllowedSigner

// Bounds of a file of allowed signers.
const (
	maxSignersFile = 1 << 20
	maxSigners     = 4096
)

// ParseAllowedSigners parses a file of allowed signers. Lines for other namespaces and other types of keys, and certificate
// authorities, are skipped: they cannot sign receipts. Errors name the line.
func ParseAllowedSigners(file []byte) (Signers, error) {
	if len(file) > maxSignersFile {
		return nil, fmt.Errorf("a file of allowed signers must not have more than %d bytes", maxSignersFile)
	}
	var out Signers
	lines := bufio.NewScanner(bytes.NewReader(file))
	lines.Buffer(nil, 64<<10)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		signers, err := parseSigner(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if out = append(out, signers...); len(out) > maxSigners {
			return nil, fmt.Errorf("more than %d allowed signers", maxSigners)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, errors.New("a line is too long")
	}
	return out, nil
}

// parseSigner returns a line's signers: one for each of its principals.
func parseSigner(text string) (Signers, error) {
	principals, rest, ok := cutField(text)
	if !ok {
		return nil, errors.New("a line must have principals, options and a key")
	}
	// Names of namespaces and listeners are ASCII. Anything else would look like another name, or like none.
	if strings.ContainsFunc(principals, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, errors.New("principals must be printable ASCII, such as namespace/name of an SFTPListener")
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil {
		return nil, errors.New("a line must have principals, options and a key")
	}
	signer := AllowedSigner{Key: key}
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		value = strings.Trim(value, `"`)
		var err error
		switch strings.ToLower(name) {
		case "namespaces":
			if !matches(value, Namespace) {
				return nil, nil
			}
		case "valid-after":
			signer.ValidAfter, err = parseTime(value)
		case "valid-before":
			signer.ValidBefore, err = parseTime(value)
		case "cert-authority":
			return nil, nil
		default:
			err = fmt.Errorf("option %q is not known", name)
		}
		if err != nil {
			return nil, err
		}
	}
	if _, err := Public(key); err != nil {
		return nil, nil //nolint:nilerr // a key of another type signs no receipts
	}
	var out Signers
	for p := range strings.SplitSeq(principals, ",") {
		signer.Principal = p
		out = append(out, signer)
	}
	return out, nil
}

// cutField splits a line after its first field, which may be in quotes.
func cutField(text string) (field, rest string, ok bool) {
	if quoted, ok := strings.CutPrefix(text, `"`); ok {
		field, rest, ok = strings.Cut(quoted, `"`)
		return field, strings.TrimSpace(rest), ok && field != ""
	}
	i := strings.IndexAny(text, " \t")
	if i <= 0 {
		return "", "", false
	}
	return text[:i], strings.TrimSpace(text[i:]), true
}

// parseTime parses YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS: in UTC with a Z, otherwise in the local time zone, as ssh-keygen
// does.
func parseTime(value string) (time.Time, error) {
	digits, utc := strings.CutSuffix(value, "Z")
	zone := time.Local
	if utc {
		zone = time.UTC
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(digits) == len(layout) {
			if t, err := time.ParseInLocation(layout, digits, zone); err == nil {
				return t, nil
			}
		}
	}
	return time.Time{}, errors.New("valid-after and valid-before must be times such as 20261130120000Z")
}

// matches reports whether a list of patterns, as in ssh_config(5), matches a name: a negated pattern that matches excludes it.
func matches(patterns, name string) bool {
	found := false
	for p := range strings.SplitSeq(patterns, ",") {
		p, negated := strings.CutPrefix(p, "!")
		// As in OpenSSH, '*' also stands for '/', which path.Match would treat as a separator.
		ok, err := path.Match(slashless(p), slashless(name))
		switch {
		case err != nil || !ok:
		case negated:
			return false
		default:
			found = true
		}
	}
	return found
}

// slashless replaces slashes with a byte that no name contains, and escapes what is special only in path.Match.
func slashless(s string) string {
	return strings.NewReplacer("/", "\x00", `\`, `\\`, "[", `\[`).Replace(s)
}

// ErrUnknownKey is returned for a receipt whose signing key is not an allowed signer.
var ErrUnknownKey = errors.New("the key that signed is not an allowed signer of this listener")

// ErrNotValidThen is returned for a receipt of a file that was published when the signing key was not valid.
var ErrNotValidThen = errors.New("the key that signed was not valid when the file was published")

// Key returns the key that must have signed a receipt. Its validity is judged at the time of publication, so receipts of a
// key that has been replaced stay valid.
func (s Signers) Key(r *Receipt) (ssh.PublicKey, error) {
	known := slices.DeleteFunc(slices.Clone(s), func(a AllowedSigner) bool {
		return !matches(a.Principal, r.Listener) || ssh.FingerprintSHA256(a.Key) != r.Key
	})
	for _, a := range known {
		if !r.Published.Before(a.ValidAfter) && (a.ValidBefore.IsZero() || r.Published.Before(a.ValidBefore)) {
			return a.Key, nil
		}
	}
	if len(known) > 0 {
		return nil, ErrNotValidThen
	}
	return nil, ErrUnknownKey
}
