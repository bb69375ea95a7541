package audit

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// printable writes JSON with everything escaped that a terminal could act on: besides the
// control characters below U+0020, which JSON escapes itself, also DEL, the C1 controls and
// the invisible characters that change the direction of text. A reader of the log in less
// or kubectl must see a file's name, not what its author wanted to be seen.
type printable struct{ w io.Writer }

func (p printable) Write(line []byte) (int, error) {
	n := len(line)
	if _, err := p.w.Write(escape(line)); err != nil {
		return 0, err
	}
	return n, nil
}

// escape replaces what is not printable by \u escapes. It only occurs in strings: outside
// them JSON is ASCII.
func escape(line []byte) []byte {
	if plain(line) {
		return line
	}
	out := make([]byte, 0, len(line)+len(line)/4)
	for len(line) > 0 {
		r, size := utf8.DecodeRune(line)
		switch {
		case r == '\n' || unicode.IsPrint(r):
			out = append(out, line[:size]...)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		line = line[size:]
	}
	return out
}

func plain(line []byte) bool {
	for _, c := range line {
		if c >= 0x7F {
			return false
		}
	}
	return true
}
