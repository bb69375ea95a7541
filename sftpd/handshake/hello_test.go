package handshake

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/crypto/ssh"
)

// saidFirst returns the first bytes that a client with these ciphers sends.
func saidFirst(line string, up, down []string) []byte {
	message := ssh.Marshal(KexInit{CiphersClientServer: up, CiphersServerClient: down})
	const padding = 8
	packet := binary.BigEndian.AppendUint32([]byte(line), uint32(1+len(message)+padding))
	packet = append(packet, padding)
	return append(append(packet, message...), make([]byte, padding)...)
}

// longHello returns a hello with a packet of the given length.
func longHello(length int, up, down []string) []byte {
	const padding = 8
	k := KexInit{CiphersClientServer: up, CiphersServerClient: down}
	k.LanguagesUp = []string{strings.Repeat("x", length-1-padding-len(ssh.Marshal(k)))}
	message := ssh.Marshal(k)
	packet := binary.BigEndian.AppendUint32([]byte("SSH-2.0-test\r\n"), uint32(1+len(message)+padding))
	return append(append(append(packet, padding), message...), make([]byte, padding)...)
}

func TestReadHello(t *testing.T) {
	up, down := []string{"aes128-gcm@openssh.com", "aes128-ctr"}, []string{"aes256-ctr"}
	good := saidFirst("SSH-2.0-test\r\n", up, down)
	const line = "SSH-2.0-test\r\n"
	for name, tc := range map[string]struct {
		said string
		err  error // nil is for a hello
	}{
		"usual":               {string(good), nil},
		"more follows":        {string(good) + "and more", nil},
		"LF alone":            {string(saidFirst("SSH-2.0-test\n", up, down)), nil},
		"nothing":             {"", io.EOF},
		"cut line":            {"SSH-2.0", io.EOF},
		"another protocol":    {"GET / HTTP/1.0\r\n", errHello},
		"a line before":       {"welcome\r\n" + string(good), errHello},
		"an empty line":       {"\r\n" + string(good), errHello},
		"an end alone":        {"\n" + string(good), errHello},
		"endless line":        {"SSH-2.0-" + strings.Repeat("x", 300), errHello},
		"cut packet":          {string(good[:40]), io.EOF},
		"head of a packet":    {line + "\x00\x00\x00\x0c\x08", io.EOF},
		"padding too long":    {line + "\x00\x00\x00\x05\x08" + strings.Repeat("\x00", 4), errHello},
		"padding for all":     {line + "\x00\x00\x00\x08\x08" + strings.Repeat("\x00", 7), errHello},
		"longest line":        {string(saidFirst("SSH-2.0-"+strings.Repeat("x", 246)+"\n", up, down)), nil},
		"line too long":       {string(saidFirst("SSH-2.0-"+strings.Repeat("x", 247)+"\n", up, down)), errHello},
		"longest packet":      {string(longHello(35000, up, down)), nil},
		"packet too long":     {string(longHello(35001, up, down)), errHello},
		"no packet":           {line, io.EOF},
		"long packet":         {line + "\xff\xff\xff\xff\x04", errHello},
		"longer than allowed": {line + "\x00\x00\x88\xb9\x04", errHello}, // 35001
		"padding alone":       {line + "\x00\x00\x00\x09\x08" + strings.Repeat("\x00", 8), errHello},
		"another message":     {line + "\x00\x00\x00\x0c\x08\x02\x00\x00" + strings.Repeat("\x00", 8), errHello},
		"cut list":            {line + "\x00\x00\x00\x1e\x08\x14" + strings.Repeat("\xff", 20) + strings.Repeat("\x00", 8), errHello},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tc.said), iotest.OneByteReader(strings.NewReader(tc.said))} {
				k, err := readHello(r)
				if !errors.Is(err, tc.err) || (err == nil) != (k != nil) {
					t.Fatalf("%v, %v", k, err)
				}
				if err == nil && (strings.Join(k.CiphersClientServer, ",") != strings.Join(up, ",") || strings.Join(k.CiphersServerClient, ",") != strings.Join(down, ",")) {
					t.Errorf("%+v", k)
				}
			}
		})
	}
}

// FuzzHello: whatever a client sends first, reading stops at the limits, and a valid hello ends where its packet does.
func FuzzHello(f *testing.F) {
	f.Add(saidFirst("SSH-2.0-test\r\n", []string{"aes128-ctr"}, nil))
	f.Add([]byte("SSH-2.0-test\r\n\x00\x00\x00\x0c\x0a\x14\x00"))
	f.Add([]byte("GET / HTTP/1.0\r\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		r := bytes.NewReader(said)
		k, err := readHello(r)
		read := len(said) - r.Len()
		if read > maxVersionLine+4+maxKexInit {
			t.Fatalf("%d bytes were read", read)
		}
		if err != nil {
			return
		}
		_, packet, _ := bytes.Cut(said, []byte("\n"))
		if want := len(said) - len(packet) + 4 + int(binary.BigEndian.Uint32(packet)); read != want {
			t.Errorf("%d bytes were read of %d", read, want)
		}
		var again KexInit
		if err := ssh.Unmarshal(ssh.Marshal(*k), &again); err != nil || !reflect.DeepEqual(*k, again) {
			t.Errorf("%+v is not %+v: %v", again, *k, err)
		}
		for _, list := range [][]string{k.CiphersClientServer, k.CiphersServerClient} {
			if !bytes.Contains(packet, []byte(strings.Join(list, ","))) {
				t.Errorf("%q is not in %x", list, packet)
			}
		}
	})
}
