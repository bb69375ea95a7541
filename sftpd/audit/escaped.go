package audit

import (
	"unicode"
	"unicode/utf8"
)

// cutEscaped shortens s so that it takes at most limit bytes in a line: escaped, and also in base64 if it is not UTF-8.
func cutEscaped(s string, limit int) string {
	if len(s) <= limit/(len(`\u0000`)+2) {
		return s // no byte takes more: an escape, and 4/3 of a byte in base64
	}
	twice := !utf8.ValidString(s)
	size := 0
	for i := 0; i < len(s); {
		r, width := utf8.DecodeRuneInString(s[i:])
		size += escapedSize(r)
		if twice {
			size += 2 * width // 4/3 in base64, rounded up
		}
		if size > limit {
			return s[:i]
		}
		i += width
	}
	return s
}

// escapedSize returns the maximum size of a character in a line's string, see quote.
func escapedSize(r rune) int {
	switch {
	case r == '"', r == '\\':
		return len(`\"`)
	case unicode.IsPrint(r):
		return utf8.RuneLen(r)
	case r > 0xFFFF:
		return len(`\u0000\u0000`)
	}
	return len(`\u0000`)
}

// PathSize returns roughly how many bytes a path takes in a line.
func PathSize(path string) int { return len(cutEscaped(path, maxPathEscaped)) }
