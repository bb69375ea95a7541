package handshake

import "strings"

// Banner returns a text as it is sent: lines end with CR LF (RFC 4252 section 5.4), and so does the
// last one, because the client's prompt follows it.
func Banner(text string) string {
	if text == "" {
		return ""
	}
	return strings.ReplaceAll(strings.TrimSuffix(text, "\n")+"\n", "\n", "\r\n")
}
