package listener

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/ack"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/hostkey"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// scope is what the phases of one reconcile hand to each other.
type scope struct {
	*Reconciler
	listener *v1alpha1.SFTPListener
	before   *v1alpha1.SFTPListener
	memory   *memory
	policy   render.Policy

	decisions   []attach.Decision
	nextExpiry  time.Time
	credentials map[types.UID]credentials.Credentials
	keys        map[types.UID][]v1alpha1.UserKeyStatus // by user
	shared      map[string]map[string]bool             // by namespace and fingerprint, whether several users have it
	plan        *hostkey.Plan                          // nil if the host keys stay as they are
	material    map[string]hostKeyMaterial             // by fingerprint
	exclusive   bool                                   // a volume can be mounted by one node only
	workload    bool                                   // the volumes allow the pods to be (re)made
	trust       render.Trust
	records     map[types.UID]string
	invalid     map[types.UID]error // users whose records the daemon would refuse
	left        map[string]bool
	files       render.Files
	service     *corev1.Service
	refusal     bool  // an object could not be applied, programmed says which
	applyFailed error // as far as it is to be tried again
	configured  bool  // this reconcile has written a part of the configuration
	acks        ack.Result
	acked       bool

	usersReady, usersNotReady int

	// unmounted are the volumes that a ready pod lacks.
	unmounted map[string]bool

	// pending is a change of the pods that waits; workloadSeen says whether it was looked for.
	pending      *v1alpha1.ListenerPendingRestart
	workloadSeen bool

	// The conditions as far as the phases have come; see status.go.
	accepted, resolved, programmed metav1.Condition
	rolledOut                      metav1.Condition // as it was, while it has no type
	retry                          time.Duration
}

func newScope(r *Reconciler, l *v1alpha1.SFTPListener) *scope {
	s := &scope{
		Reconciler: r,
		listener:   l,
		before:     l.DeepCopy(),
		memory:     r.memory(client.ObjectKeyFromObject(l), l.UID),
		policy:     render.PolicyAt(l, r.Now()),
	}
	s.initConditions()
	return s
}

func (s *scope) name() types.NamespacedName { return client.ObjectKeyFromObject(s.listener) }

// memory is what is kept of a listener between reconciles. It only saves work: all of it
// can be had again from the cluster.
type memory struct {
	uid types.UID
	// recalled says that what was rendered before has been read.
	recalled bool
	// passwords as rendered last, by user.
	passwords map[types.UID]*config.Password
	// trust as found last.
	trust *trust
	// revoked is what was rendered last; nil if nothing was ever rendered.
	revoked *config.Revoked
	// hostKeys as rendered last.
	hostKeys []render.PrivateHostKey
	// copies are the same keys, by fingerprint.
	copies map[string]hostKeyMaterial
	// heldHostKeys are the same as a status has them, should the status be lost.
	heldHostKeys []v1alpha1.HostKeyStatus
	// ackedHostKeys is the signature of the keys and states that every ready pod has loaded,
	// "" for none.
	ackedHostKeys string
	// proved are the host keys that clients have asked for a proof of, by user and
	// fingerprint.
	proved map[types.UID]map[string]bool
	// knownHosts is the ConfigMap as it was written last.
	knownHosts publication
	// keySecrets are the Secrets of host keys as they were read last.
	keySecrets map[types.NamespacedName]*corev1.Secret
	// resolved credentials and what they were made from, by user.
	resolved map[types.UID]resolution
	// rules that resolved credentials were admitted under.
	rules credentials.Rules
	// required are the methods that the listener required then.
	required []v1alpha1.MethodCombination
	// acknowledged are the digests of the records that every ready pod had, by user; nil
	// before the first acknowledgement.
	acknowledged map[types.UID]string
	// lastUsed are the days on which keys were last used, by user and fingerprint.
	lastUsed map[types.UID]map[string]string
	// tokens for the use of keys: the present one, and the one before, which pods have that are
	// about to end and get no configuration any more.
	tokens [2]string
	// delivery of the configuration.
	delivery delivery
	// tries counts reconciles in a row without an acknowledgement, with the same number of
	// pods ready.
	tries, ready int
	// late are the ready pods that have not acknowledged, by name, and since when.
	late map[string]time.Time
	// counted is when sessions were counted for the status last.
	counted time.Time
	// warned is the change of the only pod that an event has told of.
	warned string
}

type resolution struct {
	stamp string
	credentials.Credentials
	// admitted are those of them that the listener's rules admit.
	admitted credentials.Credentials
	// former are the user's keys before its last change.
	former []v1alpha1.UserKeyStatus
}

func newMemory(uid types.UID) *memory {
	return &memory{
		uid:       uid,
		passwords: map[types.UID]*config.Password{},
		resolved:  map[types.UID]resolution{},
		lastUsed:  map[types.UID]map[string]string{},
		proved:    map[types.UID]map[string]bool{},

		keySecrets: map[types.NamespacedName]*corev1.Secret{},
	}
}
