package probe

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

// ErrHostKey is in the error of a probe that did not trust the server.
var ErrHostKey = errors.New("the server is not trusted")

// HostKeys decides whether to trust a server. There is no way to trust every server.
type HostKeys struct {
	known       ssh.HostKeyCallback
	fingerprint string
	keyType     string // of the key with that fingerprint, if it is known
}

// KnownHosts trusts the keys of files in the format of ssh's known_hosts.
func KnownHosts(files ...string) (HostKeys, error) {
	cb, err := knownhosts.New(files...)
	if err != nil {
		return HostKeys{}, fmt.Errorf("known hosts: %w", err)
	}
	return HostKeys{known: cb}, nil
}

// Fingerprint trusts only the key with a fingerprint such as "SHA256:...", as ssh-keygen -l prints it.
func Fingerprint(s string) (HostKeys, error) {
	if !strings.HasPrefix(s, "SHA256:") {
		return HostKeys{}, errors.New(`the host key's fingerprint must start with "SHA256:"`)
	}
	return HostKeys{fingerprint: strings.TrimRight(s, "=")}, nil
}

// PublicKey trusts only the key in a file that ssh-keygen writes, such as id_ed25519.pub.
func PublicKey(file string) (HostKeys, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return HostKeys{}, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return HostKeys{}, fmt.Errorf("%s: %w", file, err)
	}
	return HostKeys{fingerprint: ssh.FingerprintSHA256(key), keyType: key.Type()}, nil
}

// Callback implements ssh.HostKeyCallback.
func (h HostKeys) Callback(host string, remote net.Addr, key ssh.PublicKey) error {
	if err := h.check(host, remote, key); err != nil {
		return fmt.Errorf("%w: %w", ErrHostKey, err)
	}
	return nil
}

func (h HostKeys) check(host string, remote net.Addr, key ssh.PublicKey) error {
	shown := fmt.Sprintf("its %s key is %s", key.Type(), ssh.FingerprintSHA256(key))
	if h.known == nil {
		if h.fingerprint != "" && ssh.FingerprintSHA256(key) == h.fingerprint {
			return nil
		}
		return fmt.Errorf("%s, not %s", shown, h.fingerprint)
	}
	err := h.known(host, remote, key)
	var unknown *knownhosts.KeyError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unknown) && len(unknown.Want) == 0:
		return fmt.Errorf("%s, and no key is known for %s", shown, host)
	case errors.As(err, &unknown):
		return fmt.Errorf("%s, which is not the known one: possible man-in-the-middle, or the key was changed", shown)
	default:
		return err
	}
}

// Algorithms returns the algorithms of the keys known for a host, because a server presents the key that the client prefers. If
// none are known, it returns all of the default policy.
func (h HostKeys) Algorithms(addr string) []string {
	policy, err := cryptopolicy.Lookup(cryptopolicy.Modern2026)
	if err != nil {
		return nil // x/crypto's defaults; the policy exists
	}
	if h.keyType != "" {
		return algorithmsOf(h.keyType)
	}
	if h.known == nil {
		return policy.HostKeys
	}
	// The library lists the known keys when it is given an unknown one.
	var known *knownhosts.KeyError
	if !errors.As(h.known(addr, &net.TCPAddr{}, stranger{}), &known) {
		return policy.HostKeys
	}
	var out []string
	for _, k := range known.Want {
		out = append(out, algorithmsOf(k.Key.Type())...)
	}
	if len(out) == 0 {
		return policy.HostKeys
	}
	return out
}

// algorithmsOf returns the signature algorithms for keys of a type.
func algorithmsOf(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

// stranger is a key that is not in any file.
type stranger struct{}

func (stranger) Type() string                        { return "stranger" }
func (stranger) Marshal() []byte                     { return []byte("stranger") }
func (stranger) Verify([]byte, *ssh.Signature) error { return errors.New("not a key") }

// explain describes what a failed handshake means to the user of the probe.
func explain(err error, user string, tried []string, codeAsked bool) error {
	switch all := strings.Join(tried, ", "); {
	case !strings.Contains(err.Error(), "unable to authenticate"):
		return err
	case codeAsked:
		return fmt.Errorf("the server accepted what came before the code for %q (%s), and refused the code: wrong, used before, or for a different time (%w)", user, all, err)
	default:
		return fmt.Errorf("the server accepted none of %s for %q: wrong credential, unknown user, a network that is not allowed, or a further credential is needed (%w)",
			all, user, err)
	}
}
