package command

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
)

// overview is what `status -o json` prints.
type overview struct {
	Listeners []listenerSummary `json:"listeners"`
	Users     []userSummary     `json:"users"`
}

type listenerSummary struct {
	Namespace     string    `json:"namespace"`
	Name          string    `json:"name"`
	Ready         bool      `json:"ready"`
	Addresses     []string  `json:"addresses,omitempty"`
	NodePort      int32     `json:"nodePort,omitempty"`
	HostKeys      []hostKey `json:"hostKeys,omitempty"`
	CryptoPolicy  string    `json:"cryptoPolicy,omitempty"`
	AttachedUsers int32     `json:"attachedUsers"`
	Problems      []problem `json:"problems,omitempty"`
	// Users, and whether there may be more that the caller may not see.
	Users           []userSummary `json:"users,omitempty"`
	UsersIncomplete bool          `json:"usersIncomplete,omitempty"`
}

type hostKey struct {
	Name                      string     `json:"name"`
	Revision                  int32      `json:"revision,omitempty"`
	Type                      string     `json:"type"`
	Fingerprint               string     `json:"fingerprint"`
	State                     string     `json:"state,omitempty"`
	NextStateTime             *time.Time `json:"nextStateTime,omitempty"`
	WaitingFor                string     `json:"waitingFor,omitempty"`
	ProvedUsers               int32      `json:"provedUsers"`
	CertificateExpirationTime *time.Time `json:"certificateExpirationTime,omitempty"`
}

type userSummary struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Username  string    `json:"username,omitempty"`
	Listener  string    `json:"listener"` // namespace/name
	Ready     bool      `json:"ready"`
	Address   string    `json:"address,omitempty"`
	Keys      []userKey `json:"keys,omitempty"`
	// ProvedHostKeys are the fingerprints of host keys that its clients have learned.
	ProvedHostKeys []string `json:"provedHostKeys,omitempty"`
	Password       bool     `json:"password"`
	// TOTP is set if it has the secret of an authenticator app. Methods are those in its spec.
	TOTP           bool                         `json:"totp,omitempty"`
	Methods        []v1alpha1.MethodCombination `json:"methods,omitempty"`
	ExpirationTime *time.Time                   `json:"expirationTime,omitempty"`
	// LastRefusal is its last refused login.
	LastRefusal *v1alpha1.LoginRefusal `json:"lastRefusal,omitempty"`
	Problems    []problem              `json:"problems,omitempty"`

	accepted bool
}

type userKey struct {
	Fingerprint  string `json:"fingerprint"`
	State        string `json:"state"`
	LastUsedDate string `json:"lastUsedDate,omitempty"`
}

// problem is a condition that is not True, or not up to date.
type problem struct {
	Condition string `json:"condition"`
	Reason    string `json:"reason"`
	Message   string `json:"message"`
	// Advice is what to do, where the message does not say it.
	Advice string `json:"advice,omitempty"`
}

func newOverview() overview {
	return overview{Listeners: []listenerSummary{}, Users: []userSummary{}} // so that JSON has lists, not null
}

func (o overview) works() bool {
	for _, l := range o.Listeners {
		if !l.Ready {
			return false
		}
	}
	for _, u := range o.Users {
		if !u.Ready {
			return false
		}
	}
	return true
}

func summarizeListener(l *v1alpha1.SFTPListener) listenerSummary {
	out := listenerSummary{
		Namespace: l.Namespace, Name: l.Name,
		Ready:        meta.IsStatusConditionTrue(l.Status.Conditions, v1alpha1.ConditionReady),
		CryptoPolicy: string(l.Status.CryptoPolicy), NodePort: l.Status.NodePort,
		Problems: problems(l.Status.Conditions, l.Generation, l.Status.ObservedGeneration),
	}
	if n := l.Status.AttachedUsers; n != nil {
		out.AttachedUsers = *n
	}
	for _, a := range l.Status.Addresses {
		out.Addresses = append(out.Addresses, net.JoinHostPort(a.Value, strconv.Itoa(int(a.Port))))
	}
	for _, k := range l.Status.HostKeys {
		h := hostKey{
			Name: k.Name, Revision: k.Revision, Type: k.Algorithm, Fingerprint: k.Fingerprint, State: string(k.State), WaitingFor: string(k.WaitingFor),
			NextStateTime: utc(k.NextStateTime), CertificateExpirationTime: utc(k.CertificateExpirationTime),
		}
		if k.ProvedUsers != nil {
			h.ProvedUsers = *k.ProvedUsers
		}
		out.HostKeys = append(out.HostKeys, h)
	}
	return out
}

func summarizeUser(u *v1alpha1.SFTPUser) userSummary {
	out := userSummary{
		Namespace: u.Namespace, Name: u.Name, Username: u.Status.Username,
		Listener: cluster.ListenerName(u).String(),
		Ready:    meta.IsStatusConditionTrue(u.Status.Conditions, v1alpha1.ConditionReady),
		Address:  u.Status.Address,
		Password: u.Spec.Authentication.PasswordSecretRef != nil,
		TOTP:     u.Spec.Authentication.TOTPSecretRef != nil,
		Methods:  u.Spec.Authentication.Methods,
		Problems: problems(u.Status.Conditions, u.Generation, u.Status.ObservedGeneration),

		ProvedHostKeys: u.Status.ProvedHostKeys,
		LastRefusal:    u.Status.LastRefusal,
		accepted:       meta.IsStatusConditionTrue(u.Status.Conditions, v1alpha1.ConditionAccepted),
	}
	for _, k := range u.Status.Keys {
		out.Keys = append(out.Keys, userKey{k.Fingerprint, string(k.State), k.LastUsedDate})
	}
	out.ExpirationTime = utc(u.Spec.ExpirationTime)
	return out
}

func utc(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.UTC())
}

// problems returns the conditions that are not True, one for each reason. Ready repeats another condition, and a condition
// that is not evaluated before the object is accepted is not a problem.
func problems(list []metav1.Condition, generation, observed int64) []problem {
	var out []problem
	refused := meta.IsStatusConditionFalse(list, v1alpha1.ConditionAccepted)
	add := func(c metav1.Condition) {
		if !slices.ContainsFunc(out, func(p problem) bool { return p.Reason == c.Reason }) {
			out = append(out, problem{c.Type, c.Reason, c.Message, advice[c.Reason]})
		}
	}
	for _, c := range list {
		switch {
		case c.Type == v1alpha1.ConditionReconciling, c.Type == v1alpha1.ConditionStalled:
		case c.Status == metav1.ConditionUnknown && c.Reason == v1alpha1.ReasonPending && refused:
		case c.Type == v1alpha1.ConditionInactive, c.Status != metav1.ConditionTrue:
			add(c)
		}
	}
	if observed != 0 && observed < generation {
		add(metav1.Condition{
			Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonPending,
			Message: fmt.Sprintf("The status is for generation %d, but the spec is at %d", observed, generation),
		})
	}
	return out
}

// advice returns what to do for reasons whose messages only describe the state. docs/troubleshooting.md has all
// reasons.
var advice = map[string]string{
	v1alpha1.ReasonPending:         "If this persists, the operator is not running or does not watch the namespace: check its Deployment and its log",
	v1alpha1.ReasonPodsUnavailable: "kubectl describe pods -l app.kubernetes.io/name=sftpd says why they do not start",
	v1alpha1.ReasonConfigPending:   "This takes seconds; if it persists, check the log of the listener's pods",
	v1alpha1.ReasonConfigRejected:  "The log of the listener's pods says what they cannot read",
	v1alpha1.ReasonPodUnreachable:  "Let the operator reach port 8081 of the pods: check the NetworkPolicies",
	v1alpha1.ReasonUserRejected:    "The pods may be older than the operator: check their image and their log",
	v1alpha1.ReasonPaused:          "kubectl annotate sftplistener NAME " + v1alpha1.AnnotationPaused + "- lets the operator continue",
	v1alpha1.ReasonScaledToZero:    "kubectl scale sftplistener NAME --replicas=1",
}
