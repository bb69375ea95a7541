package revocation

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

const (
	keyLine     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	keyFinger   = "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA"
	otherFinger = "SHA256:fpNu6ysklG2Wxok95fQoXcKLU9GSQlxastYfkqGymBI"
)

func certificateLine(t *testing.T) string {
	t.Helper()
	ca, _ := configtest.Key(t)
	key, _ := configtest.Key(t)
	return configtest.Line(configtest.Certificate(t, ca, ssh.UserCert, key.PublicKey(), "ada"))
}

func TestParseLines(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string
		err  string
	}{
		"empty":       {"", nil, ""},
		"keys":        {"# lost in 2026\n\n" + keyLine + " lost@laptop\r\n  " + otherFinger + " stolen\n", []string{keyFinger, otherFinger}, ""},
		"options":     {`from="192.0.2.1",restrict ` + keyLine, []string{keyFinger}, ""},
		"no line end": {otherFinger, []string{otherFinger}, ""},
		"certificate": {certificateLine(t), nil, "line 1: a certificate; use the key that it certifies"},
		"blank":       {" \t\n  # comment\n\t" + otherFinger + "\t\n", []string{otherFinger}, ""},
		"MD5":         {"MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48", nil, "line 1: not a public key"},
		"short":       {keyLine + "\n" + otherFinger[:20], nil, "line 2: the fingerprint is not in the form that ssh-keygen -l prints"},
		"damaged":     {"# \n" + keyLine[:40], nil, "line 2: not a public key"},
		"long":        {keyLine + "\n" + strings.Repeat("x", 9000), nil, "line 2: longer than 8192 bytes"},
		"too many":    {strings.Repeat(otherFinger+"\n", config.MaxRevoked+1), nil, "it revokes more than 4096 keys"},
		"binary":      {"SSHKRL\n", nil, "line 1: not a public key"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(tc.text))
			if tc.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tc.err) || got.Keys != nil {
					t.Errorf("%v, %v; want %q", got, err, tc.err)
				}
				return
			}
			if err != nil || !slices.Equal(got.Keys, tc.want) || got.Certificates != nil {
				t.Errorf("%v, %v; want %q", got, err, tc.want)
			}
		})
	}
}
