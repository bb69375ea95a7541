package event

import "unicode/utf8"

// Bounds on what clients say, in bytes, where it is written down: a login name and a path can be as long as a packet.
const (
	MaxName = 256
	MaxPath = 4096
)

// Cut shortens s to at most limit bytes, and not within a character if s is UTF-8.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > limit-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
