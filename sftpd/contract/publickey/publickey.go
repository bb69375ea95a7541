// Package publickey parses lines of authorized_keys files and decides which public keys are strong enough to log in. The
// operator uses it to explain a refused key, and the daemon to accept one.
package publickey

import (
	"bufio"
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Limits of an RSA modulus. The time of a verification grows with the square of its size, and keys of more than 8192 bits are
// not stronger in practice.
const (
	MinRSABits = 2048
	MaxRSABits = 8192
)

// MaxLineLength limits one line, in bytes. An RSA key of 8192 bits takes 1,400.
const MaxLineLength = 8192

// Key is a public key that may log in.
type Key struct {
	ssh.PublicKey
	// From are the networks it may come from; empty allows all.
	From []netip.Prefix
	// Comment is the text that follows the key in its line. It may contain anything except a line end.
	Comment string
}

// Fingerprint returns the SHA-256 fingerprint as OpenSSH prints it.
func (k Key) Fingerprint() string { return ssh.FingerprintSHA256(k.PublicKey) }

// Line returns the key in the format of authorized_keys, without options and comment.
func (k Key) Line() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.PublicKey)))
}

// ParseFirst parses an authorized_keys file (sshd(8), AUTHORIZED_KEYS FILE FORMAT) up to its limit-th key. Further lines are only
// counted: a file of 1 MiB may contain 13,000. Empty lines and comments are skipped. The error gives the line number, counted
// from 1.
func ParseFirst(data []byte, limit int) (keys []Key, further int, err error) {
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, MaxLineLength)
	n := 0
	for sc.Scan() {
		n++
		line := bytes.TrimSpace(sc.Bytes())
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if len(keys) == limit {
			further++
			continue
		}
		k, err := ParseLine(string(line))
		if err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", n, err)
		}
		keys = append(keys, k)
	}
	if err := sc.Err(); err != nil {
		return nil, 0, fmt.Errorf("line %d: longer than %d bytes", n+1, MaxLineLength)
	}
	return keys, further, nil
}

// ParseLine parses one line of an authorized_keys file and checks the key. Only the option from= is supported, with addresses
// and networks; any other option is an error, because ignoring a restriction would widen what the key may do.
func ParseLine(line string) (Key, error) {
	if len(line) > MaxLineLength {
		return Key{}, fmt.Errorf("longer than %d bytes", MaxLineLength)
	}
	if strings.Contains(line, "PRIVATE KEY") {
		return Key{}, errors.New("this is a private key: use the public half, the line in the .pub file, and generate a new key pair if others have seen this one")
	}
	if strings.ContainsAny(strings.TrimSpace(line), "\r\n") {
		return Key{}, errors.New("more than one line: give each key its own entry")
	}
	pub, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return Key{}, explain(line)
	}
	key := Key{PublicKey: pub, Comment: comment}
	for _, o := range options {
		name, value, _ := strings.Cut(o, "=")
		if !strings.EqualFold(name, "from") {
			return Key{}, explainOption(name)
		}
		if key.From != nil { // like sshd: which of them applies is unclear
			return Key{}, errors.New("from= is given twice; put all networks into one, separated by commas")
		}
		if key.From, err = parseFrom(value); err != nil {
			return Key{}, err
		}
	}
	if err := Check(pub); err != nil {
		return Key{}, err
	}
	return key, nil
}

// explain returns why a line cannot be parsed, because the parser only reports that it cannot. The line may be from a Secret
// and contain anything, so only words from a fixed list are repeated. API keys also begin with "sk-".
func explain(line string) error {
	for field := range strings.FieldsSeq(line) {
		if field == ssh.InsecureKeyAlgoDSA || field == ssh.InsecureCertAlgoDSAv01 { //nolint:staticcheck // to name it
			return unsupported(field)
		}
		if slices.Contains(keyTypes, field) {
			return fmt.Errorf("the key after %q is damaged or incomplete; copy the whole line of the .pub file again", field)
		}
	}
	return errors.New(`not a public key; it must look like "ssh-ed25519 AAAA... comment", the line in the .pub file`)
}

// keyTypes are the types that the parser knows, accepted or not.
var keyTypes = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSA,
	ssh.CertAlgoED25519v01, ssh.CertAlgoSKED25519v01, ssh.CertAlgoSKECDSA256v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01,
	ssh.CertAlgoECDSA521v01, ssh.CertAlgoRSAv01,
}

// explainOption refuses an option, and names it if sshd has an option with that name (sshd(8), AUTHORIZED_KEYS FILE FORMAT).
func explainOption(name string) error {
	if name = strings.ToLower(name); slices.Contains(options, name) {
		return fmt.Errorf("option %q is not supported; remove it (only from= is understood)", name)
	}
	return errors.New("it has an unsupported option; remove it (only from= is understood)")
}

var options = []string{
	"agent-forwarding", "cert-authority", "command", "environment", "expiry-time", "no-agent-forwarding", "no-port-forwarding", "no-pty",
	"no-touch-required", "no-user-rc", "no-x11-forwarding", "permitlisten", "permitopen", "port-forwarding", "principals", "pty",
	"restrict", "tunnel", "user-rc", "verify-required", "x11-forwarding",
}

func parseFrom(value string) ([]netip.Prefix, error) {
	networks, err := ParseNetworks(strings.Trim(value, `"`))
	if err != nil {
		return nil, fmt.Errorf("from= is not supported: %w", err)
	}
	return networks, nil
}

// ParseNetworks parses comma-separated addresses and networks in CIDR notation. The error does not repeat them.
func ParseNetworks(list string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for p := range strings.SplitSeq(list, ",") {
		p = strings.TrimSpace(p)
		if addr, err := netip.ParseAddr(p); err == nil {
			out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return nil, fmt.Errorf("its entry %d is neither an address nor a network such as 203.0.113.0/24", len(out)+1)
		}
		out = append(out, prefix.Masked())
	}
	return out, nil
}

// Check returns an error unless a key is of a type and size that may log in: Ed25519, ECDSA on the NIST curves, RSA of MinRSABits
// to MaxRSABits, and the sk- types of hardware keys. DSA keys and certificates are refused.
func Check(pub ssh.PublicKey) error {
	switch pub.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256,
		ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return nil
	case ssh.KeyAlgoRSA:
		switch bits := rsaBits(pub); {
		case bits < MinRSABits:
			return fmt.Errorf("RSA key of %d bits is too short: at least %d are required; create a new key, preferably with ssh-keygen -t ed25519", bits, MinRSABits)
		case bits > MaxRSABits:
			return fmt.Errorf("RSA key of %d bits is too long: at most %d are allowed; create a new key, preferably with ssh-keygen -t ed25519", bits, MaxRSABits)
		}
		return nil
	default:
		return unsupported(pub.Type())
	}
}

func unsupported(keyType string) error {
	return fmt.Errorf("keys of type %s are not supported; create a new key, preferably with ssh-keygen -t ed25519", keyType)
}

// Size returns the size of a key in bits, as ssh-keygen -l prints it: that of an RSA modulus, or of the curve.
func Size(pub ssh.PublicKey) int32 {
	switch pub.Type() {
	case ssh.KeyAlgoRSA:
		return int32(rsaBits(pub))
	case ssh.KeyAlgoECDSA384:
		return 384
	case ssh.KeyAlgoECDSA521:
		return 521
	default:
		return 256
	}
}

func rsaBits(pub ssh.PublicKey) int {
	if c, ok := pub.(ssh.CryptoPublicKey); ok {
		if k, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok {
			return k.N.BitLen()
		}
	}
	return 0
}
