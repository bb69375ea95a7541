package subsystem

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestSubsystem(t *testing.T) {
	for payload, want := range map[string]string{
		"\x00\x00\x00\x04sftp": "sftp", "\x00\x00\x00\x00": "", "\x00\x00\x00\x01\x00": "\x00",
	} {
		if name, ok := parse([]byte(payload)); !ok || name != want {
			t.Errorf("%q: %q, %v", payload, name, ok)
		}
	}
	for _, payload := range []string{
		"", "\x00", "\x00\x00\x00", "\x00\x00\x00\x04sft", "\x00\x00\x00\x04sftp\x00",
		"\xff\xff\xff\xff", "\xff\xff\xff\xffsftp",
	} {
		if name, ok := parse([]byte(payload)); ok {
			t.Errorf("%q: %q", payload, name)
		}
	}
}

func FuzzSubsystem(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x04sftp"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, payload []byte) {
		name, ok := parse(payload)
		if !ok {
			return
		}
		again := append(binary.BigEndian.AppendUint32(nil, uint32(len(name))), name...)
		if !bytes.Equal(again, payload) {
			t.Errorf("%x parses to %q, which is %x", payload, name, again)
		}
	})
}
