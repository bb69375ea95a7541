package daemontest

import (
	"bufio"
	"encoding/binary"
	"io"
	"strings"
	"testing"
)

// KexInit reads a server's version line and its SSH_MSG_KEXINIT (RFC 4253 sections 4.2, 6
// and 7.1) and returns the ten name-lists.
func KexInit(t testing.TB, addr string) (version string, lists [][]string) {
	t.Helper()
	c := Connect(t, addr)
	if _, err := io.WriteString(c, "SSH-2.0-test\r\n"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	version, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	message, err := ReadPlain(r)
	if err != nil {
		t.Fatal(err)
	}
	const kexInit, cookie = 20, 16
	if message[0] != kexInit {
		t.Fatalf("message %d", message[0])
	}
	rest := message[1+cookie:]
	for range 10 {
		n := binary.BigEndian.Uint32(rest)
		lists = append(lists, strings.FieldsFunc(string(rest[4:4+n]), func(r rune) bool { return r == ',' }))
		rest = rest[4+n:]
	}
	return strings.TrimRight(version, "\r\n"), lists
}

// ReadPlain reads a packet that is not encrypted yet and returns its message.
func ReadPlain(r io.Reader) ([]byte, error) {
	var head [5]byte // packet_length, padding_length
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	packet := make([]byte, binary.BigEndian.Uint32(head[:])-1)
	_, err := io.ReadFull(r, packet)
	return packet[:max(0, len(packet)-int(head[4]))], err
}
