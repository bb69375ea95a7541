package listener

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/hostkey"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// hostKeyRemoved is the state in events and metrics of a key that the listener no longer has.
const hostKeyRemoved v1alpha1.HostKeyState = "Removed"

// announceHostKeys writes an event for each change of a host key's state.
func (s *scope) announceHostKeys(changes []hostkey.Change) {
	for _, c := range changes {
		what := fmt.Sprintf("Host key %s %s of SFTPKey %q", c.Type, c.Fingerprint, c.Name)
		if c.Revision > 0 {
			what += fmt.Sprintf(", revision %d,", c.Revision)
		}
		state := c.To
		switch {
		case c.To == "":
			state, what = hostKeyRemoved, what+" is gone"
		case c.From == "":
			what += " is " + string(c.To)
		default:
			what += fmt.Sprintf(" is %s and was %s", c.To, c.From)
		}
		hostKeyChanges.WithLabelValues(s.listener.Namespace, s.listener.Name, string(state)).Inc()
		kind := corev1.EventTypeNormal
		if c.Forced {
			kind = corev1.EventTypeWarning
			what += "; it was not announced, because overlapSeconds is 0: clients that do not know the new key refuse to connect or ask"
		}
		s.Events.Eventf(s.listener, nil, kind, "HostKey"+string(state), "RotateHostKeys", "%s", what)
	}
}

// knownHostsInterval is the time between two looks at a ConfigMap that should not have
// changed. The operator has no right to watch ConfigMaps, which are mostly not its own.
const knownHostsInterval = 10 * time.Minute

// publishKnownHosts writes the ConfigMap with known_hosts. When it is refused, pods must still
// get what is theirs, so this does not end the reconcile.
func (s *scope) publishKnownHosts(ctx context.Context) error {
	s.describeKnownHosts()
	lines := s.listener.Status.KnownHosts
	if len(lines) == 0 {
		return nil
	}
	content := strings.Join(lines, "\n")
	now := s.Now()
	if last := &s.memory.knownHosts; last.content == content && now.Before(last.next) {
		s.retryAt(last.next)
		return nil
	}
	err := s.apply(ctx, render.KnownHostsMap(s.listener, lines), true)
	if err != nil {
		if !errors.Is(err, errStop) {
			s.applyFailed = errors.Join(s.applyFailed, err)
		}
		return nil
	}
	s.memory.knownHosts = publication{content, now.Add(knownHostsInterval)}
	s.retryIn(knownHostsInterval)
	return nil
}

// publication is what was written, and when to look at it again.
type publication struct {
	content string
	next    time.Time
}
