package retention

import (
	"regexp"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/vfs"
)

// leftoverOfProbe is the name of the file of `sftpd probe`, which stays if the probe is killed.
var leftoverOfProbe = regexp.MustCompile(`^\.sftpd-probe-[0-9a-f]{16}$`)

// leftover reports whether a name is one that the daemon or its probe creates.
func leftover(name string) bool {
	return vfs.Staged(name) && !strings.HasPrefix(name, ownPrefix) || leftoverOfProbe.MatchString(name)
}

// matches reports whether a rule with these patterns applies to files with a name. The daemon's own files belong to no user, and
// files that NFS clients create stand for files that were removed while open.
func matches(patterns []string, name string) bool {
	if vfs.Internal(name) || strings.HasPrefix(name, ".nfs") {
		return false
	}
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return glob(p, name) })
}

// glob reports whether a name matches a pattern, in which '*' stands for any bytes and '?' for one character of UTF-8, or one
// byte of a name that is not UTF-8. Its time is bounded by the product of the lengths.
func glob(pattern, name string) bool {
	p, n, star, retry := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, n
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			n += width(name[n:])
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
		case star >= 0:
			retry++
			p, n = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// width returns the length of the first character, in bytes.
func width(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}
