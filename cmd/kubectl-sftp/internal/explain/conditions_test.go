package explain

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

// effect is the effect that a reason of a condition has on a login.
type effect struct {
	// none: the login works anyway, or the reason is about another object.
	none string
	// change gives a login the reason, and want is the answer of why; text is part of a check with that result.
	change func(in *Input, line string)
	want   Result
	text   string
}

func noEffect(why string) effect { return effect{none: why} }

// notReady returns a user whose condition Ready has a reason that only pods can know.
func notReady(reason string) effect {
	return effect{change: func(in *Input, _ string) {
		in.User.Status.Conditions = append(ready("Accepted", "ResolvedRefs"),
			metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: "message"})
	}, want: Unknown, text: reason + ": message"}
}

// tenants is the listener's only rule, for the user of another namespace.
func tenants(in *Input) *v1alpha1.AllowedUsersRule {
	in.Listener.Namespace = "files"
	in.User.Spec.ListenerRef.Namespace = "files"
	in.Listener.Spec.AllowedUsers.Rules = []v1alpha1.AllowedUsersRule{{
		Name: "tenants", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll},
	}}
	return &in.Listener.Spec.AllowedUsers.Rules[0]
}

// listenerNotReady is the same for the listener.
func listenerNotReady(reason string) effect {
	return effect{change: func(in *Input, _ string) {
		in.Listener.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, Message: "message"}}
	}, want: Unknown, text: reason + ": message"}
}

func denied(text string, change func(in *Input, line string)) effect {
	return effect{change: change, want: Denied, text: text}
}

const (
	good1    = "it is the good state"
	volume   = "the login works; files may not"
	keys     = "it is about an SFTPKey"
	rolls    = "pods of the previous template also serve clients"
	events   = "events are kept, and clients log in"
	retained = "files stay; logins are not concerned"
	receipts = "pods keep receipts, and clients log in"
)

// effects lists every reason that a condition can have.
var effects = map[string]effect{
	v1alpha1.ReasonAccepted: noEffect(good1), v1alpha1.ReasonResolvedRefs: noEffect(good1), v1alpha1.ReasonObjectsApplied: noEffect(good1),
	v1alpha1.ReasonProgrammed: noEffect(good1), v1alpha1.ReasonReady: noEffect(good1), v1alpha1.ReasonKeysValid: noEffect(good1),
	v1alpha1.ReasonAssigned: noEffect(good1), v1alpha1.ReasonRolledOut: noEffect(good1), v1alpha1.ReasonVolumesWritable: noEffect(good1),

	v1alpha1.ReasonRollingOut: noEffect(rolls), v1alpha1.ReasonRolloutStalled: noEffect(rolls), v1alpha1.ReasonRolloutQueued: noEffect(rolls), v1alpha1.ReasonRolloutPaused: noEffect(rolls),
	v1alpha1.ReasonRolloutBlocked: noEffect(rolls), v1alpha1.ReasonDrifted: noEffect(rolls), v1alpha1.ReasonPodRestart: noEffect("it is an event"),
	v1alpha1.ReasonVolumeReadOnly: noEffect(volume), v1alpha1.ReasonVolumeFull: noEffect(volume), v1alpha1.ReasonVolumePermissionDenied: noEffect(volume),
	v1alpha1.ReasonVolumeNoAnswer: noEffect(volume), v1alpha1.ReasonVolumeFailed: noEffect(volume),
	v1alpha1.ReasonRetentionTooMany: noEffect(retained), v1alpha1.ReasonRetentionClock: noEffect(retained), v1alpha1.ReasonRetentionHoldMissing: noEffect(retained),
	v1alpha1.ReasonRetentionVolume: noEffect(retained), v1alpha1.ReasonRetentionIncomplete: noEffect(retained),
	v1alpha1.ReasonVolumeNotMounted: notReady(v1alpha1.ReasonVolumeNotMounted),

	v1alpha1.ReasonEventsDelivered: noEffect(good1), v1alpha1.ReasonEventsNotDurable: noEffect(events), v1alpha1.ReasonRelayUnreachable: noEffect(events),
	v1alpha1.ReasonReceiptsAvailable: noEffect(good1), v1alpha1.ReasonReceiptsNotDurable: noEffect(receipts), v1alpha1.ReasonReceiptsNotRemoved: noEffect(receipts), v1alpha1.ReasonReceiptsFailing: noEffect(receipts),
	v1alpha1.ReasonInvalidEventSink: noEffect(events), v1alpha1.ReasonReceiverFailing: noEffect(events), v1alpha1.ReasonReceiverGone: noEffect(events),
	v1alpha1.ReasonDeadLetters: noEffect(events), v1alpha1.ReasonOutboxFull: noEffect("uploads are refused, not logins"),

	v1alpha1.ReasonCryptoPolicyExpired: noEffect("the policy in effect is what is checked"),
	v1alpha1.ReasonHomesWouldMove:      noEffect("homes stay where they are; of a volume that is gone why says VolumeNotFound"),
	v1alpha1.ReasonHomesMoved:          noEffect("it is an event"),
	v1alpha1.ReasonPlatformPolicy:      noEffect("the listener serves as it was before, and that is what is checked"),
	v1alpha1.ReasonPaused:              noEffect("pods serve what they have; changes show as not seen by the operator"),
	v1alpha1.ReasonVolumeNotShareable:  listenerNotReady(v1alpha1.ReasonVolumeNotShareable),
	v1alpha1.ReasonVolumeClaimNotFound: listenerNotReady(v1alpha1.ReasonVolumeClaimNotFound),
	v1alpha1.ReasonHostKeyNotFound:     listenerNotReady(v1alpha1.ReasonHostKeyNotFound),
	v1alpha1.ReasonInvalidHostKey:      listenerNotReady(v1alpha1.ReasonInvalidHostKey),
	v1alpha1.ReasonInvalidRevokedKey:   noEffect("what is not a key revokes nothing, and lists that cannot be read are unknown"),
	v1alpha1.ReasonConfigPending:       notReady(v1alpha1.ReasonConfigPending),
	v1alpha1.ReasonConfigRejected:      listenerNotReady(v1alpha1.ReasonConfigRejected),
	v1alpha1.ReasonPodUnreachable:      listenerNotReady(v1alpha1.ReasonPodUnreachable),
	v1alpha1.ReasonAddressNotAssigned:  listenerNotReady(v1alpha1.ReasonAddressNotAssigned),
	v1alpha1.ReasonResourceConflict:    listenerNotReady(v1alpha1.ReasonResourceConflict),
	v1alpha1.ReasonApplyPending:        listenerNotReady(v1alpha1.ReasonApplyPending),
	v1alpha1.ReasonApplyFailed:         listenerNotReady(v1alpha1.ReasonApplyFailed),
	v1alpha1.ReasonPodsUnavailable:     listenerNotReady(v1alpha1.ReasonPodsUnavailable),
	v1alpha1.ReasonScaledToZero:        listenerNotReady(v1alpha1.ReasonScaledToZero),
	v1alpha1.ReasonInternalError:       listenerNotReady(v1alpha1.ReasonInternalError),
	v1alpha1.ReasonPending:             {change: func(in *Input, _ string) { in.User.Generation = 1 }, want: Unknown, text: "has not seen the latest change"},

	v1alpha1.ReasonListenerNotFound: denied("does not exist", func(in *Input, _ string) { in.Listener, in.NoListener = nil, true }),
	v1alpha1.ReasonNotAllowedByListener: denied(v1alpha1.ReasonNotAllowedByListener, func(in *Input, _ string) {
		in.Listener.Namespace = "files"
	}),
	v1alpha1.ReasonUsernameConflict: denied(v1alpha1.ReasonUsernameConflict, func(in *Input, _ string) {
		other := in.User.DeepCopy()
		other.Name, other.UID, other.Spec.Username = "older", "2", "acme"
		in.User.CreationTimestamp = metav1.Time{Time: now}
		in.Users = append(in.Users, *other)
	}),
	v1alpha1.ReasonInvalidUsername: denied(v1alpha1.ReasonInvalidUsername, func(in *Input, _ string) { in.User.Spec.Username = "-" }),
	v1alpha1.ReasonMethodNotAllowed: denied(v1alpha1.ReasonMethodNotAllowed, func(in *Input, _ string) {
		in.Listener.Spec.Authentication.AllowedMethods = []v1alpha1.AuthMethod{v1alpha1.AuthPassword}
	}),
	v1alpha1.ReasonMethodsTooWeak: denied(v1alpha1.ReasonMethodsTooWeak, func(in *Input, _ string) {
		in.Listener.Spec.Authentication.RequiredMethods = []v1alpha1.MethodCombination{{Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey, v1alpha1.AuthPassword}}}
		in.User.Spec.Authentication.Methods = []v1alpha1.MethodCombination{{Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey}}}
	}),
	v1alpha1.ReasonVolumeNotFound:      denied(v1alpha1.ReasonVolumeNotFound, func(in *Input, _ string) { in.User.Spec.HomeDirectory.Volume = "none" }),
	v1alpha1.ReasonDirectoryNotAllowed: noEffect("only users of other namespaces can have it; compile has the same cases"),
	v1alpha1.ReasonDirectoriesOverlap: denied(v1alpha1.ReasonDirectoriesOverlap, func(in *Input, _ string) {
		in.User.Spec.Mounts = []v1alpha1.Mount{{Path: "/in", Directory: v1alpha1.Directory{SubPath: "in", Access: v1alpha1.AccessWriteOnly}}}
	}),
	v1alpha1.ReasonAccessNotAllowed: denied(v1alpha1.ReasonAccessNotAllowed, func(in *Input, _ string) {
		tenants(in).Access = v1alpha1.AccessReadOnly
	}),
	v1alpha1.ReasonNamespaceFull: denied(v1alpha1.ReasonNamespaceFull, func(in *Input, _ string) {
		other := in.User.DeepCopy()
		other.Name, other.UID = "older", "2"
		in.User.CreationTimestamp = metav1.Time{Time: now}
		in.Users = append(in.Users, *other)
		tenants(in).MaxUsers = new(int32(1))
	}),
	v1alpha1.ReasonListenerFull: denied(v1alpha1.ReasonListenerFull, func(in *Input, _ string) {
		other := in.User.DeepCopy()
		other.Name, other.UID = "older", "2"
		in.User.CreationTimestamp = metav1.Time{Time: now}
		in.Users = append(in.Users, *other)
		in.Listener.Spec.MaxUsers = new(int32(1))
	}),
	v1alpha1.ReasonUserTooLarge: notReady(v1alpha1.ReasonUserTooLarge),
	v1alpha1.ReasonSuspended:    denied(v1alpha1.ReasonSuspended, func(in *Input, _ string) { in.User.Spec.State = v1alpha1.UserSuspended }),
	v1alpha1.ReasonExpired: denied(v1alpha1.ReasonExpired, func(in *Input, _ string) {
		in.User.Spec.ExpirationTime = &metav1.Time{Time: now.Add(-time.Hour)}
	}),
	v1alpha1.ReasonSecretNotFound: denied(v1alpha1.ReasonSecretNotFound, func(in *Input, _ string) {
		in.Method, in.Source = v1alpha1.AuthPassword, secrets{}
	}),
	v1alpha1.ReasonSecretKeyMissing: denied(v1alpha1.ReasonSecretKeyMissing, func(in *Input, _ string) {
		in.Method, in.Source = v1alpha1.AuthPassword, secrets{"password": {"other": "x"}}
	}),
	v1alpha1.ReasonSecretUnreadable: {change: func(in *Input, _ string) {
		in.Method, in.User.Spec.Authentication.PasswordSecretRef.Name = v1alpha1.AuthPassword, "denied"
	}, want: Unknown, text: "you may not read Secret"},
	v1alpha1.ReasonInvalidPublicKey: denied(v1alpha1.ReasonInvalidPublicKey, func(in *Input, _ string) {
		in.User.Spec.Authentication = v1alpha1.UserAuthentication{AuthorizedKeys: []string{"ssh-ed25519 AAAA"}}
	}),
	v1alpha1.ReasonInvalidPassword: denied(v1alpha1.ReasonInvalidPassword, func(in *Input, _ string) {
		in.Method, in.Source = v1alpha1.AuthPassword, secrets{"password": {"password": ""}}
	}),
	v1alpha1.ReasonInvalidTOTPSecret: denied(v1alpha1.ReasonInvalidTOTPSecret, func(in *Input, _ string) {
		in.User.Spec.Authentication.TOTPSecretRef = &v1alpha1.TOTPSecretReference{Name: "totp"}
		in.Source = secrets{"totp": {"totp": "GEZDGNBVGY3TQOJQ"}}
	}),
	v1alpha1.ReasonFactorMissing: denied("", func(in *Input, _ string) {
		in.User.Spec.Authentication.Methods = []v1alpha1.MethodCombination{{Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey, v1alpha1.AuthPublicKey}}}
	}),
	v1alpha1.ReasonKeyNotFound: denied(v1alpha1.ReasonKeyNotFound, func(in *Input, _ string) {
		in.User.Spec.Authentication = v1alpha1.UserAuthentication{}
		k := assigned("acme", "", nil)
		k.Spec.Source = v1alpha1.KeyGenerated
		keyring = []v1alpha1.SFTPKey{k}
	}),
	v1alpha1.ReasonKeyAssignedElsewhere: denied(v1alpha1.ReasonKeyAssignedElsewhere, func(_ *Input, line string) {
		keyring = []v1alpha1.SFTPKey{assigned("globex", line, nil)}
	}),
	v1alpha1.ReasonNoCredentials: denied(v1alpha1.ReasonNoCredentials, func(in *Input, _ string) {
		in.User.Spec.Authentication = v1alpha1.UserAuthentication{}
	}),
	v1alpha1.ReasonNoValidKey: denied("expired at", func(in *Input, line string) {
		in.User.Spec.Authentication.AuthorizedKeys = nil
		keyring = []v1alpha1.SFTPKey{assigned("acme", line, &metav1.Time{Time: now.Add(-time.Hour)})}
	}),
	v1alpha1.ReasonKeyRevoked: denied("key_revoked", func(in *Input, _ string) {
		in.Listener.Spec.RevokedKeys = []v1alpha1.RevokedKey{{Fingerprint: in.Fingerprint}}
	}),
	v1alpha1.ReasonRemoving:      notReady(v1alpha1.ReasonRemoving),
	v1alpha1.ReasonUserRejected:  notReady(v1alpha1.ReasonUserRejected),
	v1alpha1.ReasonInvalidUserCA: noEffect("other credentials work; a certificate is checked when it is given"),
	v1alpha1.ReasonKeyExpired:    noEffect("the time of the key that is asked about is checked"),
	v1alpha1.ReasonKeyNotYetValid: denied("not valid before", func(in *Input, line string) {
		in.User.Spec.Authentication.AuthorizedKeys = nil
		k := assigned("acme", line, nil)
		k.Spec.NotBefore = &metav1.Time{Time: now.Add(time.Hour)}
		keyring = []v1alpha1.SFTPKey{k}
	}),
	v1alpha1.ReasonKeyExpiring: noEffect("it still logs in"), v1alpha1.ReasonKeyUnused: noEffect("it still logs in"),
	v1alpha1.ReasonKeyShared: noEffect("it still logs in"), v1alpha1.ReasonLoginExpiring: noEffect("it still logs in"),
	v1alpha1.ReasonUsersLockedOut: noEffect("it is an event of the listener"),

	v1alpha1.ReasonUserNotFound: noEffect(keys), v1alpha1.ReasonDuplicateKey: noEffect(keys), v1alpha1.ReasonAssignmentConflict: noEffect(keys),
	v1alpha1.ReasonRotationBlocked: noEffect(keys), v1alpha1.ReasonInvalidHostCertificate: noEffect(keys),
	v1alpha1.ReasonHostCertificateExpired: noEffect(keys), v1alpha1.ReasonHostCertificateExpiring: noEffect(keys), v1alpha1.ReasonWeakKey: noEffect(keys),
	v1alpha1.ReasonSecretConflict: noEffect(keys), v1alpha1.ReasonInvalidKey: noEffect(keys),
}

// TestConditions: the effect of every reason of a condition on a login is known, and why never says that a login is allowed if
// the reason denies it.
func TestConditions(t *testing.T) {
	for name, reason := range conditionReasons(t) {
		e, known := effects[reason]
		switch {
		case !known && strings.HasPrefix(name, "Reason"):
			t.Errorf("%s (%s) is not in the table of this test: decide what it means for a login", name, reason)
			continue
		case e.change == nil:
			continue
		}
		t.Run(reason, func(t *testing.T) {
			keyring = nil
			in, line := good(t)
			in.Users = nil
			e.change(&in, line)
			in.Users = append(in.Users, *in.User)
			got, err := Explain(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, c := range got.Checks {
				found = found || c.Result == e.want && strings.Contains(c.Text, e.text)
			}
			if got.Verdict != e.want || !found {
				t.Errorf("%s, want %s with %q: %+v", got.Verdict, e.want, e.text, got.Checks)
			}
		})
	}
}

// conditionReasons returns the API's constants Reason…, by name.
func conditionReasons(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir("../../../../api/v1alpha1", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) == 0 || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
				return true
			}
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
				found[spec.Names[0].Name], err = strconv.Unquote(literal.Value)
			}
			return err == nil
		})
		return err
	})
	if err != nil || len(found) < 60 {
		t.Fatalf("%d reasons, %v", len(found), err)
	}
	return found
}
