package entry

import (
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// maxCandidates bounds the hashes that a password is compared with; each comparison costs as much
// as a hash.
const maxCandidates = 4

// seeds has passwords that an earlier operator rendered, by Secret (its UID) and entry.
type seeds map[seedKey][]*config.Password

type seedKey struct{ uid, entry string }

// add adds a password of a source, "<uid>/<version>/<entry>". Hashes that were made elsewhere need
// no seed.
func (s seeds) add(source string, p *config.Password) {
	uid, rest, _ := strings.Cut(source, "/")
	version, entry, ok := strings.Cut(rest, "/")
	if p == nil || !ok || uid == "" || version == "" || strings.HasSuffix(entry, "#hash") {
		return
	}
	k := seedKey{uid, entry}
	if !slices.ContainsFunc(s[k], func(have *config.Password) bool { return have.Source == source }) && len(s[k]) < maxCandidates {
		s[k] = append(s[k], &config.Password{Hash: p.Hash, Source: source})
	}
}

// of returns the earlier passwords of a Secret's entry.
func (s seeds) of(uid, entry string) []*config.Password { return s[seedKey{uid, entry}] }

// spend drops the passwords of an entry that has been read.
func (s seeds) spend(uid, entry string) { delete(s, seedKey{uid, entry}) }
