package migrate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

// Options of a migration.
type Options struct {
	// Namespace of the objects, and the listener that the users name. Its namespace may be empty for the same one.
	Namespace, Listener, ListenerNamespace string
	// CryptoPolicy of the listener: keys that it does not allow are rejected.
	CryptoPolicy string
}

// Finding is something that was not imported, or was changed.
type Finding struct {
	// Location, as file:line.
	Where string `json:"where"`
	// Login name, if there is one.
	Login string `json:"login,omitempty"`
	// Text is what and why. It never contains a password.
	Text string `json:"text"`
}

// Report is the result for the input.
type Report struct {
	Users     int `json:"users"`
	Keys      int `json:"keys"`
	Passwords int `json:"passwords"`
	// Rejected lists what was not imported; Notices say what is different now.
	Rejected []Finding `json:"rejected"`
	Notices  []Finding `json:"notices"`
}

// Migration collects accounts from several inputs. A login name in several of them is one user.
type Migration struct {
	Options
	policy   cryptopolicy.Policy
	accounts map[string]*account
	// holders of each key, by fingerprint.
	holders map[string][]*account
	// ids is the number of lines with a uid or gid.
	ids    int
	report Report
}

// New returns an empty migration.
func New(o Options) (*Migration, error) {
	policy, err := cryptopolicy.Lookup(cmp.Or(o.CryptoPolicy, cryptopolicy.Default))
	if err != nil {
		return nil, err
	}
	return &Migration{
		Options: o, policy: policy,
		accounts: map[string]*account{}, holders: map[string][]*account{},
		report: Report{Rejected: []Finding{}, Notices: []Finding{}},
	}, nil
}

// account returns the account of a login name, a new one if there is none.
func (m *Migration) account(login, where string) *account {
	a, ok := m.accounts[login]
	if !ok {
		a = &account{login: login, where: where}
		m.accounts[login] = a
	}
	return a
}

func (m *Migration) reject(where, login, text string) {
	m.report.Rejected = append(m.report.Rejected, Finding{where, login, text})
}

func (m *Migration) notice(where, login, text string) {
	m.report.Notices = append(m.report.Notices, Finding{where, login, text})
}

// noticeIDs reports once what nearly every line has.
func (m *Migration) noticeIDs() {
	if m.ids > 0 {
		m.notice("", "", fmt.Sprintf("uid and gid are ignored (in %d lines): all users of a listener share one Unix user and are kept apart by path", m.ids))
	}
}

// noticeShared reports keys shared by several imported users.
func (m *Migration) noticeShared() {
	for fp, holders := range m.holders {
		var logins []string
		for _, a := range holders {
			if !a.ignore {
				logins = append(logins, a.login)
			}
		}
		if len(logins) > 1 {
			slices.Sort(logins)
			m.notice("", "", fmt.Sprintf("the key %s is shared by %s; each should have one of its own", fp, strings.Join(logins, ", ")))
		}
	}
}

// sorted puts findings into the order of the input: by file, then by line.
func sorted(list []Finding) []Finding {
	slices.SortStableFunc(list, func(a, b Finding) int {
		fileA, lineA := position(a.Where)
		fileB, lineB := position(b.Where)
		return cmp.Or(strings.Compare(fileA, fileB), cmp.Compare(lineA, lineB), strings.Compare(a.Text, b.Text))
	})
	return list
}

func position(where string) (file string, line int) {
	i := strings.LastIndexByte(where, ':')
	if i < 0 {
		return where, 0
	}
	if _, err := fmt.Sscanf(where[i+1:], "%d", &line); err != nil {
		return where, 0
	}
	return where[:i], line
}
