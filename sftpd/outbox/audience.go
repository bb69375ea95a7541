package outbox

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// wants reports whether a sink gets events of a type for at least some users.
func wants(s config.EventSink, t events.Type) bool { return slices.Contains(s.Types, t) }

// wanted reports whether any sink wants a type for at least some users.
func (o *outbox) wanted(t events.Type) bool {
	return slices.ContainsFunc(o.Sinks, func(s config.EventSink) bool { return wants(s, t) })
}

// wantedOf reports whether a sink wants events of a type about an account.
func (o *outbox) wantedOf(t events.Type, account string) bool {
	return slices.ContainsFunc(o.Sinks, func(s config.EventSink) bool {
		return wants(s, t) && (!s.Selected || slices.Contains(o.selected(account), s.Name))
	})
}

// names returns record.For of an event of a type about an account: nil if the event is for all sinks that want the type and
// select no users.
func (o *outbox) names(t events.Type, account string) []string {
	selected := o.selected(account)
	if len(selected) == 0 {
		return nil
	}
	return o.filter(func(s config.EventSink) bool {
		return wants(s, t) && (!s.Selected || slices.Contains(selected, s.Name))
	})
}

// eligible is like names, for an event whose type is not known yet; see log.narrow.
func (o *outbox) eligible(account string) []string {
	selected := o.selected(account)
	if len(selected) == 0 {
		return nil
	}
	return o.filter(func(s config.EventSink) bool { return !s.Selected || slices.Contains(selected, s.Name) })
}

func (o *outbox) filter(keep func(config.EventSink) bool) (names []string) {
	for _, s := range o.Sinks {
		if keep(s) {
			names = append(names, s.Name)
		}
	}
	return names
}

// narrow keeps only those sinks of an event that want its type, now that the type is known. If none is left, the event is
// abandoned, unless it is about an upload and has a receipt. The lock is held.
func (l *log) narrow(r *record) {
	if r.Kind != recorded || len(r.For) == 0 {
		return
	}
	var left []string
	for _, s := range l.sinks {
		if slices.Contains(r.For, s.Name) && wants(s, r.Type) {
			left = append(left, s.Name)
		}
	}
	if len(left) == 0 && l.signer != nil && r.Type == events.FilePublished {
		left = []string{receiptsSink}
	}
	if r.For = left; len(left) == 0 {
		*r = record{Kind: abandoned, Of: r.Of, User: r.User}
	}
}
