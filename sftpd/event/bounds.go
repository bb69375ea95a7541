package event

import "unicode/utf8"

// Limits on logged strings from clients, in bytes: a login name or path can be as long as a packet.
const (
	MaxName = 256
	MaxPath = 4096
)

// Cut shortens s to at most limit bytes. If s is UTF-8, it does not split a character.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > max(limit-utf8.UTFMax, 0) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
