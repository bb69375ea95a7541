package listener

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/conditions"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
	"github.com/sftp-operator/sftp-operator/sftpd/factor"
)

// A record that the daemon would refuse, should the API's rules ever let one through, is the trouble of its user alone:
// on a shared listener it must not keep others' changes from the pods.
func TestInvalidRecordBlocksNobodyElse(t *testing.T) {
	l := &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "partners"},
		Spec:       v1alpha1.SFTPListenerSpec{Volumes: []v1alpha1.ListenerVolume{{Name: "home"}}},
	}
	s := &scope{
		Reconciler:  &Reconciler{},
		listener:    l,
		memory:      &memory{hostKeys: []render.PrivateHostKey{{Private: []byte("key")}}},
		credentials: map[types.UID]credentials.Credentials{},
		programmed:  conditions.False(v1alpha1.ConditionProgrammed, v1alpha1.ReasonConfigPending, "m"),
	}
	for name, subPath := range map[string]string{"good": "in", "bad": "in\x00"} {
		u := &v1alpha1.SFTPUser{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: types.UID(name)}}
		u.Spec.HomeDirectory.SubPath = subPath
		s.decisions = append(s.decisions, attach.Decision{User: u, Username: name, Reason: v1alpha1.ReasonAccepted})
		s.credentials[u.UID] = credentials.Credentials{Keys: []config.Key{{PublicKey: "ssh-ed25519 AAAA"}}, Methods: factor.Set{{factor.PublicKey}}}
	}
	if err := s.renderConfiguration(); err != nil {
		t.Fatal(err)
	}
	if all := string(s.files.Shards[0]) + string(s.files.Shards[1]); !strings.Contains(all, `"good"`) || strings.Contains(all, `"bad"`) {
		t.Errorf("shards %q, want the good user alone", s.files.Shards)
	}
	ready := func(name types.UID) condition {
		i := slices.IndexFunc(s.decisions, func(d attach.Decision) bool { return d.User.UID == name })
		return s.userReady(s.decisions[i], s.credentials[name])
	}
	c := ready("bad")
	if c.Reason != v1alpha1.ReasonUserRejected || !strings.HasPrefix(c.Message, "The user cannot be configured: sub-path ") {
		t.Errorf("%s: %s", c.Reason, c.Message)
	}
	if c := ready("good"); c.Reason != v1alpha1.ReasonConfigPending {
		t.Errorf("%s: %s", c.Reason, c.Message)
	}
}
