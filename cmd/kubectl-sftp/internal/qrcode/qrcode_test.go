package qrcode

import (
	"bytes"
	"strings"
	"testing"

	"github.com/boombuler/barcode/qr"
)

// TestWrite reads the modules back from what is drawn.
func TestWrite(t *testing.T) {
	const text = "otpauth://totp/partners:acme?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=partners&algorithm=SHA1&digits=6&period=30"
	want, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		t.Fatal(err)
	}
	n := want.Bounds().Dx()
	for _, colored := range []bool{true, false} {
		var out bytes.Buffer
		if err := Write(&out, text, colored); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != (n+2*quiet+1)/2 {
			t.Fatalf("%d lines for %d modules", len(lines), n)
		}
		for row, line := range lines {
			if colored {
				line = strings.TrimSuffix(strings.TrimPrefix(line, colors), plain)
			}
			cells := []rune(line)
			if len(cells) != n+2*quiet {
				t.Fatalf("%d characters for %d modules: %q", len(cells), n, line)
			}
			for col, c := range cells {
				for half, drawn := range []bool{c == '█' || c == '▀', c == '█' || c == '▄'} {
					x, y := col-quiet, 2*row+half-quiet
					dark := false
					if x >= 0 && x < n && y >= 0 && y < n {
						r, _, _, _ := want.At(x, y).RGBA()
						dark = r == 0
					}
					if drawn != (dark == colored) {
						t.Fatalf("colored %v: module %d,%d is dark: %v, and drawn: %v", colored, x, y, dark, drawn)
					}
				}
			}
		}
	}
	if err := Write(&bytes.Buffer{}, strings.Repeat("x", 5000), true); err == nil {
		t.Error("no text is too long")
	}
}
