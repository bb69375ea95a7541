package server_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// kexInit reads the server's version and its SSH_MSG_KEXINIT (RFC 4253 sections 4.2, 6
// and 7.1) and returns the name-lists.
func kexInit(t *testing.T, addr string) (string, [][]string) {
	t.Helper()
	c := daemontest.Connect(t, addr)
	if _, err := io.WriteString(c, "SSH-2.0-test\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	version, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var head [5]byte // packet_length, padding_length
	if _, err := io.ReadFull(r, head[:]); err != nil {
		t.Fatal(err)
	}
	packet := make([]byte, binary.BigEndian.Uint32(head[:])-1)
	if _, err := io.ReadFull(r, packet); err != nil {
		t.Fatal(err)
	}
	if packet[0] != 20 {
		t.Fatalf("message %d", packet[0])
	}
	var lists [][]string
	rest := packet[1+16:] // the cookie
	for range 10 {
		n := binary.BigEndian.Uint32(rest)
		lists = append(lists, strings.FieldsFunc(string(rest[4:4+n]), func(r rune) bool { return r == ',' }))
		rest = rest[4+n:]
	}
	return strings.TrimRight(version, "\r\n"), lists
}

func TestKexInit(t *testing.T) {
	dir := configtest.New(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir.HostKeys = append(dir.HostKeys, configtest.PEM(t, rsaKey), configtest.PEM(t, ec))
	d := daemontest.Start(t, dir)
	version, lists := kexInit(t, d.Addr)
	if version != "SSH-2.0-sftpd" {
		t.Errorf("version %q", version)
	}
	ciphers := []string{
		"aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com",
		"aes128-ctr", "aes192-ctr", "aes256-ctr",
	}
	macs := []string{"hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"}
	for i, want := range [][]string{
		{
			"mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org", "diffie-hellman-group16-sha512",
			"diffie-hellman-group-exchange-sha256", "kex-strict-s-v00@openssh.com",
		},
		{"ssh-ed25519", "rsa-sha2-256", "rsa-sha2-512", "ecdsa-sha2-nistp256"},
		ciphers,
		ciphers,
		macs,
		macs,
		{"none"}, // compression
		{"none"},
		nil, // languages
		nil,
	} {
		if !slices.Equal(lists[i], want) {
			t.Errorf("list %d:\n have %v\n want %v", i, lists[i], want)
		}
	}
}
