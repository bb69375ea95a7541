package admission

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pires/go-proxyproto"
)

// v2 writes a header of version 2 (proxy-protocol.txt section 2.2).
func v2(command, family byte, payload string) string {
	return "\r\n\r\n\x00\r\nQUIT\n" + string([]byte{0x20 | command, family, byte(len(payload) >> 8), byte(len(payload))}) + payload
}

const addresses4 = "\xc0\x00\x02\x01\xc0\x00\x02\x02\x30\x39\x00\x16"

func TestProxyHeader(t *testing.T) {
	tlv := func(n int) string { return "\x04" + string([]byte{byte(n >> 8), byte(n)}) + strings.Repeat("x", n) }
	for name, tc := range map[string]struct{ header, client string }{
		"v1":           {"PROXY TCP4 192.0.2.1 192.0.2.2 12345 22\r\n", "192.0.2.1:12345"},
		"v1 IPv6":      {"PROXY TCP6 2001:db8::1 2001:db8::2 12345 22\r\n", "[2001:db8::1]:12345"},
		"v1 mapped":    {"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 12345 22\r\n", "192.0.2.1:12345"},
		"v2":           {v2(1, 0x11, addresses4), "192.0.2.1:12345"},
		"v2 extension": {v2(1, 0x11, addresses4+tlv(300)), "192.0.2.1:12345"},

		"v1 unknown":       {"PROXY UNKNOWN\r\n", "probe"},
		"v1 unknown, more": {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "probe"},
		"v2 local":         {v2(0, 0, ""), "probe"},
		"v2 local, more":   {v2(0, 0x11, addresses4), "probe"},
		"nothing":          {"", "probe"},

		"no header":       {"SSH-2.0-OpenSSH_10.0\r\n", ""},
		"a byte":          {"P", ""},
		"v1 cut":          {"PROXY TCP4 192.0.2.1", ""},
		"v1 too long":     {"PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n", ""},
		"v1 bad address":  {"PROXY TCP4 192.0.2.256 192.0.2.2 12345 22\r\n", ""},
		"v1 zone":         {"PROXY TCP6 fe80::1%eth0 fe80::2 12345 22\r\n", ""},
		"v2 cut":          {v2(1, 0x11, addresses4)[:20], ""},
		"v2 short":        {v2(1, 0x11, "\xc0\x00\x02\x01"), ""},
		"v2 UDP":          {v2(1, 0x12, addresses4), ""},
		"v2 Unix":         {v2(1, 0x31, strings.Repeat("/", 216)), ""},
		"v2 unspecified":  {v2(1, 0, ""), ""},
		"v2 bad version":  {strings.Replace(v2(1, 0x11, addresses4), "\x21", "\x31", 1), ""},
		"v2 huge":         {v2(1, 0x11, addresses4+tlv(60_000)), ""},
		"v2 local, huge":  {v2(0, 0, strings.Repeat("x", 60_000)), ""},
		"signature alone": {"\r\n\r\n\x00\r\nQUIT\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			const rest = "SSH-2.0-test\r\nand more"
			in := tc.header
			if tc.client != "" && tc.client != "probe" {
				in += rest
			}
			r := strings.NewReader(in)
			client, buffered, err := readProxyHeader(r)
			switch {
			case tc.client == "probe":
				if !errors.Is(err, ErrProbe) {
					t.Errorf("want a probe, have %v, %v", client, err)
				}
			case tc.client == "":
				if err == nil || errors.Is(err, ErrProbe) {
					t.Errorf("taken for %v, %v", client, err)
				}
			case err != nil || client.String() != tc.client:
				t.Errorf("want %s, have %v, %v", tc.client, client, err)
			default:
				here, there := net.Pipe()
				go func() { _, _ = io.Copy(there, r); there.Close() }()
				if got, err := io.ReadAll(&afterHeader{here, buffered}); string(got) != rest || err != nil {
					t.Errorf("the rest: %q, %v", got, err)
				}
			}
			if left := r.Len(); len(in)-left > maxProxyHeader {
				t.Errorf("%d bytes were read", len(in)-left)
			}
		})
	}
}

// FuzzProxyHeader: any bytes, split in any way, give an address or an error; no more than the limit is read; an accepted header
// is one that the library would write.
func FuzzProxyHeader(f *testing.F) {
	for _, seed := range []string{
		"", "SSH-2.0-x\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 22\r\nSSH-2.0-x\r\n", "PROXY UNKNOWN\r\n",
		"PROXY TCP6 2001:db8::1 ::1 1 22\r\n", v2(1, 0x11, addresses4), v2(0, 0, ""),
		v2(1, 0x21, strings.Repeat("\x20", 36)+"\x03\x00\x01x"), v2(0, 0, strings.Repeat("x", 5000)),
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, in []byte, pieces bool) {
		r := bytes.NewReader(in)
		var from io.Reader = r
		if pieces {
			from = iotest.OneByteReader(r)
		}
		client, buffered, err := readProxyHeader(from)
		if n := len(in) - r.Len(); n > maxProxyHeader {
			t.Fatalf("%d bytes were read", n)
		}
		if err != nil {
			return
		}
		if !client.Addr().IsValid() || client.Addr().Zone() != "" || client.Addr().Is4In6() {
			t.Errorf("client %v", client)
		}
		rest, err := io.ReadAll(buffered)
		if err != nil && !errors.Is(err, errHeaderTooLong) {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(in[:len(in)-r.Len()], rest) {
			t.Error("the rest is not what follows")
		}
		if !bytes.HasPrefix(in, proxyproto.SIGV1) && !bytes.HasPrefix(in, proxyproto.SIGV2) {
			t.Error("there was no header")
		}
	})
}
