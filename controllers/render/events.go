package render

import (
	"slices"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// eventSettings returns which events pods record. It is zero, which is not written, without sinks and receipts: a daemon that does
// not know the field would refuse the whole configuration. Compose adds the key.
//
// Events and receipts are kept on the home volume, which does not change with the order of the volumes: on a different one, the
// pods would find neither the events that are not delivered yet nor the chains of receipts.
func eventSettings(l *v1alpha1.SFTPListener) config.Events {
	spec := l.Spec.Events
	if spec == nil || len(spec.Sinks) == 0 {
		if l.Spec.Uploads.Receipts == nil {
			return config.Events{}
		}
		return config.Events{Volume: attach.HomeVolume(l)}
	}
	out := config.Events{
		Volume: attach.HomeVolume(l),
		Source: events.Source("", l.Namespace, l.Name), WhenFull: string(spec.Outbox.WhenFull), TemporaryNames: spec.TemporaryNames,
		MaxAgeSeconds: int64(or(spec.Outbox.MaxAgeSeconds, 0)),
	}
	if size := spec.Outbox.MaxSize; size != nil {
		out.MaxBytes = size.Value()
	}
	for i := range spec.Sinks {
		s := config.EventSink{Name: spec.Sinks[i].Name, Selected: SelectsUsers(&spec.Sinks[i])}
		for _, t := range spec.Sinks[i].Types {
			s.Types = append(s.Types, events.Type(t))
		}
		if len(s.Types) == 0 {
			s.Types = events.DefaultTypes()
		}
		out.Sinks = append(out.Sinks, s)
		if slices.Contains(s.Types, events.KeyExpiring) {
			out.KeyExpiringSeconds = int64(or(l.Spec.KeyPolicy.ExpiringWithinDays, DefaultExpiringWithinDays)) * 24 * 60 * 60
		}
	}
	return out
}

// eventsKey adds the key for events to settings that record any, and returns its file, nil for none.
func eventsKey(settings *config.Listener, private [][]byte) []byte {
	if !settings.Events.On() {
		return nil
	}
	key := []byte(config.EventsKey(private))
	settings.Events.Key = config.File{Name: config.EventsKeyFile, SHA256: config.Digest(key)}
	return key
}
