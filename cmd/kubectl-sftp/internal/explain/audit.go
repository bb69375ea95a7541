package explain

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"net/netip"
	"slices"
	"time"
)

// Line is a line of the audit log that concerns a login. docs/audit-log.md has the fields.
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
	// Meaning of the reason, in words.
	Meaning string `json:"meaning,omitempty"`
}

// Asked is whom to look for in the audit log.
type Asked struct {
	// Username and Account ("namespace/name"): a line of either is one of the user's.
	Username, Account string
	// From, if it is valid, leaves out lines of other clients, and adds connections of this one that were refused before
	// they named a user.
	From netip.Addr
}

// maxLine is above what the daemon writes: its texts are bounded (docs/audit-log.md).
const maxLine = 1 << 20

// Search reads a pod's log and returns the lines about logins of whom was asked for. What is no line of the audit log,
// such as the daemon's own log, is skipped.
func Search(log io.Reader, a Asked) ([]Line, error) {
	var out []Line
	sc := bufio.NewScanner(log)
	sc.Buffer(nil, maxLine)
	for sc.Scan() {
		var l Line
		if json.Unmarshal(sc.Bytes(), &l) != nil || !a.concerns(l) {
			continue
		}
		l.Meaning = meanings[l.Reason]
		out = append(out, l)
	}
	return out, sc.Err()
}

func (a Asked) concerns(l Line) bool {
	switch l.Event {
	case "login", "login_refused", "session_revoked":
		if l.Account != a.Account && (a.Username == "" || l.User != a.Username) {
			return false
		}
		return !a.From.IsValid() || a.sent(l)
	case "connection_refused":
		return a.From.IsValid() && a.sent(l)
	}
	return false
}

// sent says whether the client is the one that was asked for. A line that counts many has a network.
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

// Last returns the latest lines, oldest first.
func Last(lines []Line, n int) []Line {
	slices.SortStableFunc(lines, func(a, b Line) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	return lines[max(0, len(lines)-n):]
}

// meanings of reasons that call for an explanation. docs/audit-log.md has all.
var meanings = map[string]string{
	"unknown_user":             "the pod had no such login name",
	"user_expired":             "the user's expirationTime had passed",
	"key_not_registered":       "the last key that the client offered is not the user's",
	"source_not_allowed":       "the address is not in allowedCIDRs, or not in from= of the key",
	"key_too_short":            "the crypto policy does not admit a key of this size",
	"algorithm_not_allowed":    "the client signed with an algorithm that the crypto policy does not have",
	"bad_signature":            "the key is the user's, but the signature was not made with it, or without a security key's touch",
	"wrong_password":           "the password was wrong",
	"no_password":              "the user has no password",
	"key_required_first":       "the password came before the key",
	"password_required_first":  "the key came before the password",
	"next_factor_missing":      "the user needs more than what came: another key, the password or a code",
	"wrong_code":               "the code of the authenticator app was wrong",
	"code_reused":              "the code had logged in before: the client has to wait for the next one, up to 30 seconds",
	"code_clock_skew":          "the code is one of another time: the clock of the phone or of the node is wrong",
	"code_older_than_server":   "the pod had just begun, and accepts codes of later than that: wait for the next one",
	"code_tries_exceeded":      "too many wrong codes: one more is possible each hour, or after kubectl sftp totp --rotate",
	"max_tries":                "too many failures in one connection: the client may offer too many keys",
	"login_grace_exceeded":     "the client took too long",
	"login_abandoned":          "the client gave up: it had no further credential, or did not trust the host key",
	"login_penalised":          "the address or login name failed too often and is refused for a while, whatever the credential",
	"password_queue_timeout":   "more passwords had to be verified than there was time for",
	"method_not_offered":       "the listener stopped to allow the method",
	"changed_during_login":     "the configuration changed meanwhile: try again",
	"max_connections_per_user": "the credentials were right, but the user has too many connections",
	"max_connections":          "the listener has too many connections",
	"no_common_algorithm":      "client and crypto policy have no algorithm in common: the detail has both lists",
	"displaced":                "all places were taken, and this client was silent or slow",
	"key_removed":              "the key that the session was opened with is gone",
	"key_expired":              "the key's expirationTime had passed",
	"key_not_yet_valid":        "the key's notBefore was still to come",
	"user_removed":             "the user was deleted or is not accepted any more",
	"totp_changed":             "the secret of the authenticator app was changed or removed",
	"second_factor_required":   "the user now needs more than what the session was opened with",
	"password_changed":         "the password that the session was opened with was changed",
	"shutting_down":            "the pod was ending",
}
