package audit

import (
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// quote adds a JSON string with everything escaped that a terminal could act on: besides the control characters below U+0020,
// which JSON requires, also DEL, the C1 controls and the invisible characters that change the direction of text. A reader of
// the log in less or kubectl must see a file's name, not what its author wanted to be seen.
func (l *line) quote(s string) {
	l.text = append(l.text, '"')
	begin := 0 // of what needs no escape
	for i := 0; i < len(s); {
		if c := s[i]; ' ' <= c && c < 0x7F && c != '"' && c != '\\' {
			i++
			continue
		}
		r, width := utf8.DecodeRuneInString(s[i:])
		if r < utf8.RuneSelf || r == utf8.RuneError && width == 1 || !unicode.IsPrint(r) {
			l.text = append(l.text, s[begin:i]...)
			l.escape(r)
			begin = i + width
		}
		i += width
	}
	l.text = append(l.text, s[begin:]...)
	l.text = append(l.text, '"')
}

func (l *line) escape(r rune) {
	switch {
	case r == '"', r == '\\':
		l.text = append(l.text, '\\', byte(r))
	case r == '\n':
		l.text = append(l.text, `\n`...)
	case r == '\r':
		l.text = append(l.text, `\r`...)
	case r == '\t':
		l.text = append(l.text, `\t`...)
	case r > 0xFFFF:
		high, low := utf16.EncodeRune(r)
		l.unit(high)
		l.unit(low)
	default:
		l.unit(r)
	}
}

// unit adds the escape of a UTF-16 code unit.
func (l *line) unit(u rune) {
	const hex = "0123456789abcdef"
	l.text = append(l.text, '\\', 'u', hex[u>>12&0xF], hex[u>>8&0xF], hex[u>>4&0xF], hex[u&0xF])
}
