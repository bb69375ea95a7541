package outbox

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// Key is a user's key that expires.
type Key struct {
	// Account is namespace/name of the SFTPUser, UID its UID, Login its login name.
	Account, UID, Login string
	Fingerprint         string
	NotAfter            time.Time
}

const (
	// expiredFor is how long after its expiration a key is still reported, so that a daemon that was down for a week still reports
	// it.
	expiredFor = 7 * 24 * time.Hour
	// maxNotices bounds the notices that are remembered, and noticesOfPass those that are recorded in one pass.
	maxNotices    = 200_000
	noticesOfPass = 2000
)

// notice is an event about a key, to be recorded once.
type notice struct {
	Key
	kind events.Type
	id   string
	// until is when it is no longer worth recording.
	until time.Time
	// sinks that it was not recorded for yet.
	sinks []string
}

// noticesOf returns the notices about keys that are due, each once: a user may have several login names.
func noticesOf(keys []Key, source string, within time.Duration, now time.Time) []notice {
	var out []notice
	seen := map[string]bool{}
	for _, k := range keys {
		n := notice{Key: k, kind: events.KeyExpiring, until: k.NotAfter}
		switch {
		case !now.Before(k.NotAfter):
			n.kind, n.until = events.KeyExpired, k.NotAfter.Add(expiredFor)
		case now.Before(k.NotAfter.Add(-within)):
			continue
		}
		if n.id = events.KeyID(source, n.kind, k.UID, k.Fingerprint, k.NotAfter); now.Before(n.until) && !seen[n.id] {
			seen[n.id] = true
			out = append(out, n)
		}
	}
	return out
}

// remembered is a notice that was recorded.
type remembered struct {
	// Until is when the notice can be forgotten, in seconds.
	Until int64 `json:"until"`
	// Sinks that it was recorded for.
	Sinks []string `json:"sinks"`
}

// memory holds the notices that were recorded, by their IDs.
type memory map[string]remembered

// note remembers that a notice was recorded.
func (m memory) note(n notice) {
	r := m[n.id]
	for _, s := range n.sinks {
		if len(r.Sinks) < events.MaxSinks && !slices.Contains(r.Sinks, s) {
			r.Sinks = append(slices.Clip(r.Sinks), s)
		}
	}
	r.Until = n.until.Unix()
	m[n.id] = r
}

// lacking returns the notices that have not been recorded for all of their sinks yet, with the missing sinks. wanting returns the
// sinks that want a notice. The first notices of each namespace come first, so that no namespace delays another.
func (m memory) lacking(due []notice, wanting func(notice) []string) []notice {
	var out []notice
	for _, n := range due {
		r := m[n.id]
		n.sinks = slices.DeleteFunc(wanting(n), func(name string) bool { return slices.Contains(r.Sinks, name) })
		if len(n.sinks) > 0 {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b notice) int {
		return cmp.Or(a.NotAfter.Compare(b.NotAfter), cmp.Compare(a.Account, b.Account), cmp.Compare(a.id, b.id))
	})
	place, of := make(map[string]int, len(out)), map[string]int{}
	for _, n := range out {
		namespace, _, _ := strings.Cut(n.Account, "/")
		place[n.id] = of[namespace]
		of[namespace]++
	}
	slices.SortStableFunc(out, func(a, b notice) int { return cmp.Compare(place[a.id], place[b.id]) })
	return out[:min(len(out), noticesOfPass)]
}

// forget removes notices that are no longer worth recording and, if there are too many, those that are not due.
func (m memory) forget(due []notice, now time.Time) {
	for id, r := range m {
		if r.Until <= now.Unix() {
			delete(m, id)
		}
	}
	if len(m) < maxNotices {
		return
	}
	current := make(map[string]bool, len(due))
	for _, n := range due {
		current[n.id] = true
	}
	for id := range m {
		if !current[id] {
			delete(m, id)
		}
	}
}

// keyEvent returns the event of a notice.
func (o *outbox) keyEvent(n notice) *events.Event {
	namespace, name, _ := strings.Cut(n.Account, "/")
	return &events.Event{
		SpecVersion: events.SpecVersion, ID: n.id, Source: o.Source, Type: n.kind, Time: time.Now().UTC(),
		Subject: events.Subject(namespace, name, ""), DataContentType: events.DataContentType,
		PartitionKey: n.Account, Sequence: noSequence, AuthType: events.AuthSystem,
		Data: events.Data{
			Listener: o.listener, User: n.Account, Login: events.Text(n.Login, maxLogin),
			Fingerprint: n.Fingerprint, Expires: n.NotAfter.UTC(),
		},
	}
}
