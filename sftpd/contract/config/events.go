package config

import (
	"errors"
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// Values of Events.WhenFull.
const (
	// WhenFullBlock: uploads are refused until events have been delivered.
	WhenFullBlock = "Block"
	// WhenFullDropOldest: the oldest events are dropped.
	WhenFullDropOldest = "DropOldest"
)

// EventsKeyFile is the name of the file with the key for events; see events.ParseKey.
const EventsKeyFile = "events-key"

// Defaults and bounds of Events.
const (
	DefaultEventsBytes = 64 << 20
	MinEventsBytes     = 1 << 20
	MaxEventsBytes     = 16 << 30
	DefaultEventsAge   = 7 * 24 * time.Hour
	DefaultKeyExpiring = 30 * 24 * time.Hour
	MaxKeyExpiring     = 366 * 24 * time.Hour
	// MaxTemporaryNames is the most patterns, each of at most MaxTemporaryName bytes: 128 characters, as in the API, of at most four.
	MaxTemporaryNames = 32
	MaxTemporaryName  = 4 * 128
)

// Events are recorded for sinks, on a volume. The zero value records none.
type Events struct {
	// Sinks get the events. Without one, none are recorded.
	Sinks []EventSink `json:"sinks,omitempty"`
	// Source is the CloudEvents source, see events.Source.
	Source string `json:"source,omitempty"`
	// Key is the file with the key that requests for events are proven with: EventsKeyFile.
	Key File `json:"key,omitzero"`
	// Volume names the volume where events are kept; empty is the first one.
	Volume string `json:"volume,omitempty"`
	// MaxBytes bounds the size of all events that are kept, and MaxAgeSeconds the age of each; 0 stands for the default.
	MaxBytes      int64 `json:"maxBytes,omitempty"`
	MaxAgeSeconds int64 `json:"maxAgeSeconds,omitempty"`
	// WhenFull is WhenFullBlock or WhenFullDropOldest; empty stands for the first.
	WhenFull string `json:"whenFull,omitempty"`
	// TemporaryNames are patterns of file names, in the syntax of path.Match without '/', that clients use until an upload is
	// complete. An upload under such a name is published when it is renamed to another one.
	TemporaryNames []string `json:"temporaryNames,omitempty"`
	// KeyExpiringSeconds is how long before a key's expiration its event is sent; 0 stands for DefaultKeyExpiring.
	KeyExpiringSeconds int64 `json:"keyExpiringSeconds,omitempty"`
}

// EventSink is a receiver of events, known to the daemon by its name only.
type EventSink struct {
	Name string `json:"name"`
	// Types that it gets, at least one.
	Types []events.Type `json:"types"`
	// Selected: it gets only the events of users whose User.EventSinks contain its name.
	Selected bool `json:"selected,omitempty"`
}

// On reports whether events are recorded.
func (e Events) On() bool { return len(e.Sinks) > 0 }

// Bytes returns MaxBytes or its default.
func (e Events) Bytes() int64 {
	if e.MaxBytes == 0 {
		return DefaultEventsBytes
	}
	return e.MaxBytes
}

// Age returns MaxAgeSeconds as a duration, or its default.
func (e Events) Age() time.Duration {
	if e.MaxAgeSeconds == 0 {
		return DefaultEventsAge
	}
	return time.Duration(e.MaxAgeSeconds) * time.Second
}

// KeyExpiring returns KeyExpiringSeconds as a duration, or its default.
func (e Events) KeyExpiring() time.Duration {
	if e.KeyExpiringSeconds == 0 {
		return DefaultKeyExpiring
	}
	return time.Duration(e.KeyExpiringSeconds) * time.Second
}

// Drops reports whether old events are dropped when there is no room.
func (e Events) Drops() bool { return e.WhenFull == WhenFullDropOldest }

var sinkNameRE = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (l Listener) validateEvents() error {
	e := l.Events
	switch {
	case !e.On():
		return nil
	case len(e.Sinks) > events.MaxSinks:
		return fmt.Errorf("events.sinks must have at most %d entries", events.MaxSinks)
	case e.MaxBytes != 0 && (e.MaxBytes < MinEventsBytes || e.MaxBytes > MaxEventsBytes):
		return fmt.Errorf("events.maxBytes must be between %d and %d", MinEventsBytes, MaxEventsBytes)
	case e.MaxAgeSeconds < 0 || e.MaxAgeSeconds > math.MaxInt64/int64(time.Second):
		return errors.New("events.maxAgeSeconds is out of range")
	case e.KeyExpiringSeconds < 0 || e.KeyExpiringSeconds > int64(MaxKeyExpiring/time.Second):
		return errors.New("events.keyExpiringSeconds is out of range")
	case e.WhenFull != "" && e.WhenFull != WhenFullBlock && e.WhenFull != WhenFullDropOldest:
		return fmt.Errorf("events.whenFull %q is not known", e.WhenFull)
	case e.Key.Name == "":
		return errors.New("events.key must be set")
	}
	if err := events.ValidateSource(e.Source); err != nil {
		return fmt.Errorf("events.source: %w", err)
	}
	if _, ok := l.Volume(e.Volume); e.Volume != "" && !ok {
		return fmt.Errorf("events.volume: there is no volume %q", e.Volume)
	}
	return errors.Join(validateSinks(e.Sinks), validateTemporaryNames(e.TemporaryNames))
}

// SinkName reports whether a string is a name of a sink.
func SinkName(name string) bool { return sinkNameRE.MatchString(name) }

func validateEventSinks(names []string) error {
	if len(names) > events.MaxSinks || slices.ContainsFunc(names, func(n string) bool { return !SinkName(n) }) {
		return fmt.Errorf("eventSinks must be at most %d names of sinks", events.MaxSinks)
	}
	return nil
}

func validateSinks(sinks []EventSink) error {
	seen := map[string]bool{}
	for _, s := range sinks {
		switch {
		case !sinkNameRE.MatchString(s.Name):
			return fmt.Errorf("events: %q is not the name of a sink", s.Name)
		case seen[s.Name]:
			return fmt.Errorf("events: two sinks are named %q", s.Name)
		case len(s.Types) == 0:
			return fmt.Errorf("events: sink %q has no types", s.Name)
		}
		seen[s.Name] = true
		for _, t := range s.Types {
			if !t.Known() {
				return fmt.Errorf("events: type %q of sink %q is not known", t, s.Name)
			}
		}
	}
	return nil
}

func validateTemporaryNames(patterns []string) error {
	if len(patterns) > MaxTemporaryNames {
		return fmt.Errorf("events.temporaryNames must have at most %d entries", MaxTemporaryNames)
	}
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || p == "" || len(p) > MaxTemporaryName || strings.Contains(p, "/") {
			return fmt.Errorf("events.temporaryNames: %q is not a pattern of at most %d bytes without '/'", p, MaxTemporaryName)
		}
	}
	return nil
}
