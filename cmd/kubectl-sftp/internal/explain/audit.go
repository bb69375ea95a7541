package explain

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// Line is a line of the audit log that concerns a login. docs/audit-log.md describes the fields.
type Line struct {
	Time           time.Time `json:"time"`
	Event          string    `json:"event"`
	Result         string    `json:"result,omitempty"`
	Reason         string    `json:"reason,omitempty"`
	Detail         string    `json:"detail,omitempty"`
	Namespace      string    `json:"namespace,omitempty"`
	Listener       string    `json:"listener,omitempty"`
	Source         string    `json:"source,omitempty"`
	User           string    `json:"user,omitempty"`
	Account        string    `json:"account,omitempty"`
	Methods        []string  `json:"methods,omitempty"`
	KeyFingerprint string    `json:"key_fingerprint,omitempty"`
	KeysOffered    []string  `json:"keys_offered,omitempty"`
	Count          int       `json:"count,omitempty"`
	// Meaning explains the reason.
	Meaning string `json:"meaning,omitempty"`
}

// Asked identifies the login to look for in the audit log.
type Asked struct {
	// Username and Account ("namespace/name"): a line with either belongs to the user.
	Username, Account string
	// From, if it is valid, excludes lines of other clients, and includes connections from this address that were refused before
	// they named a user.
	From netip.Addr
}

// maxLine is larger than any line that the daemon writes, because it limits its texts (docs/audit-log.md).
const maxLine = 1 << 20

// Search reads a pod's log and returns the lines about the login. Other lines, such as the daemon's own log, are skipped.
func Search(log io.Reader, a Asked) ([]Line, error) {
	var out []Line
	sc := bufio.NewScanner(log)
	sc.Buffer(nil, maxLine)
	for sc.Scan() {
		var l Line
		if json.Unmarshal(sc.Bytes(), &l) != nil || !a.concerns(l) {
			continue
		}
		l.Meaning = event.Reason(l.Reason).Meaning()
		out = append(out, l)
	}
	return out, sc.Err()
}

func (a Asked) concerns(l Line) bool {
	switch l.Event {
	case "login", "login_refused", "session_revoked":
		if l.User == "" && l.Account == "" { // it ended before the client named a user
			return a.From.IsValid() && a.sent(l)
		}
		if l.Account != a.Account && (a.Username == "" || l.User != a.Username) {
			return false
		}
		return !a.From.IsValid() || a.sent(l)
	case "connection_refused":
		return a.From.IsValid() && a.sent(l)
	}
	return false
}

// offeredOthers reports whether the client offered keys, but not this one.
func (l Line) offeredOthers(fingerprint string) bool {
	return fingerprint != "" && len(l.KeysOffered) > 0 && !slices.Contains(l.KeysOffered, fingerprint)
}

// sent reports whether the line is about the requested client. A line with a count has a network instead of an address.
func (a Asked) sent(l Line) bool {
	if ap, err := netip.ParseAddrPort(l.Source); err == nil {
		return ap.Addr().Unmap().WithZone("") == a.From.Unmap().WithZone("")
	}
	if addr, err := netip.ParseAddr(l.Source); err == nil {
		return addr.Unmap() == a.From.Unmap()
	}
	p, err := netip.ParsePrefix(l.Source)
	return err == nil && p.Contains(a.From.Unmap())
}

// Since returns the lines since a time.
func Since(lines []Line, from time.Time) []Line {
	out := []Line{} // so that JSON has a list, not null
	for _, l := range lines {
		if !l.Time.Before(from) {
			out = append(out, l)
		}
	}
	return out
}

// Last returns the latest lines, oldest first.
func Last(lines []Line, n int) []Line {
	slices.SortStableFunc(lines, func(a, b Line) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	return lines[max(0, len(lines)-n):]
}
