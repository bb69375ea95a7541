// Package qrcode draws QR codes with characters.
package qrcode

import (
	"fmt"
	"image"
	"io"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quiet is the margin that a reader needs, in modules. The standard (ISO/IEC 18004) requires four; two are enough for phones,
// and a terminal is small.
const quiet = 2

// black and white are set for each line, so that a terminal's own colors do not matter.
const (
	colors = "\x1b[30;107m"
	plain  = "\x1b[0m"
)

// Write draws a text, two modules per character. Without colored, light modules are drawn and dark ones left out, for a
// terminal with a dark background.
func Write(w io.Writer, text string, colored bool) error {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return fmt.Errorf("QR code: %w", err)
	}
	size := code.Bounds()
	dark := func(x, y int) bool {
		if !image.Pt(x, y).In(size) {
			return false
		}
		r, _, _, _ := code.At(x, y).RGBA()
		return r == 0
	}
	var out strings.Builder
	for y := -quiet; y < size.Max.Y+quiet; y += 2 {
		if colored {
			out.WriteString(colors)
		}
		for x := -quiet; x < size.Max.X+quiet; x++ {
			// A last row that does not belong to the margin is empty.
			out.WriteString(block(dark(x, y) == colored, dark(x, y+1) == colored))
		}
		if colored {
			out.WriteString(plain)
		}
		out.WriteByte('\n')
	}
	_, err = io.WriteString(w, out.String())
	return err
}

// block returns the character whose halves are drawn or not.
func block(upper, lower bool) string {
	switch {
	case upper && lower:
		return "█"
	case upper:
		return "▀"
	case lower:
		return "▄"
	}
	return " "
}
