// Package revocation reads revocation lists in the formats of sshd's option RevokedKeys:
// lines of text, or OpenSSH's binary key revocation list (KRL).
package revocation

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/publickey"
)

var (
	fingerprintRE = regexp.MustCompile(config.FingerprintPattern)

	errTooMany = fmt.Errorf("it revokes more than %d keys, serial numbers and key IDs; split off a CA, or let certificates expire", config.MaxRevoked)
)

// Parse reads a list: a KRL if it begins like one, lines otherwise. It is read as a whole
// or not at all: it is unknown what a damaged list should revoke.
func Parse(data []byte) (config.Revoked, error) {
	if bytes.HasPrefix(data, []byte(magic)) {
		return parseKRL(data)
	}
	return parseLines(data)
}

// parseLines reads public keys and their SHA-256 fingerprints, one a line. The rest of
// the line is a comment, and so is a line that begins with #.
func parseLines(data []byte) (out config.Revoked, err error) {
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, publickey.MaxLineLength)
	n := 0
	for sc.Scan() {
		n++
		line := strings.TrimSpace(sc.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fingerprint, err := parseLine(line)
		if err != nil {
			return config.Revoked{}, fmt.Errorf("line %d: %w", n, err)
		}
		if out.Keys = append(out.Keys, fingerprint); len(out.Keys) > config.MaxRevoked {
			return config.Revoked{}, errTooMany
		}
	}
	if sc.Err() != nil {
		return config.Revoked{}, fmt.Errorf("line %d: longer than %d bytes", n+1, publickey.MaxLineLength)
	}
	return out, nil
}

func parseLine(line string) (fingerprint string, err error) {
	first := strings.Fields(line)[0]
	if strings.HasPrefix(first, "SHA256:") {
		if !fingerprintRE.MatchString(first) {
			return "", errors.New("the fingerprint is not in the form that ssh-keygen -l prints: SHA256: and 43 characters")
		}
		return first, nil
	}
	return Fingerprint(line)
}

// Fingerprint returns the fingerprint of a public key in authorized_keys format, of any
// type and size: a key that is too weak to log in may become usable with a different crypto
// policy.
func Fingerprint(line string) (string, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return "", errors.New(`not a public key; it must look like "ssh-ed25519 AAAA... comment", the line in the .pub file`)
	}
	if _, certificate := key.(*ssh.Certificate); certificate {
		return "", errors.New("a certificate; use the key that it certifies (from its .pub file), its serial number or its key ID")
	}
	return ssh.FingerprintSHA256(key), nil
}
