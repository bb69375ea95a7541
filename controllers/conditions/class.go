package conditions

import "github.com/sftp-operator/sftp-operator/api/v1alpha1"

// Class is what a reason means to everything that waits for an object: people, kubectl wait, Flux and Argo CD.
type Class int

// The classes, from harmless to serious.
const (
	// Remark: nothing to wait for.
	Remark Class = iota
	// Inactive: the object is intentionally not in effect.
	Inactive
	// Waiting: it changes without intervention, usually within seconds.
	Waiting
	// Missing: another object has to be created, deleted or changed first. If several objects are applied at once, that takes
	// seconds.
	Missing
	// Broken: it stays until a person corrects something.
	Broken
)

// classes has every reason of a condition. docs/gitops.md explains the classes.
var classes = map[string]Class{
	v1alpha1.ReasonAccepted:                Remark,
	v1alpha1.ReasonResolvedRefs:            Remark,
	v1alpha1.ReasonObjectsApplied:          Remark,
	v1alpha1.ReasonProgrammed:              Remark,
	v1alpha1.ReasonReady:                   Remark,
	v1alpha1.ReasonKeysValid:               Remark,
	v1alpha1.ReasonAssigned:                Remark,
	v1alpha1.ReasonRolledOut:               Remark,
	v1alpha1.ReasonVolumesWritable:         Remark,
	v1alpha1.ReasonCryptoPolicyExpired:     Remark,
	v1alpha1.ReasonEventsDelivered:         Remark,
	v1alpha1.ReasonEventsNotDurable:        Remark,
	v1alpha1.ReasonReceiptsAvailable:       Remark,
	v1alpha1.ReasonReceiptsNotDurable:      Remark,
	v1alpha1.ReasonReceiptsNotRemoved:      Remark,
	v1alpha1.ReasonReceiptsFailing:         Remark, // pods keep them, and an alert fires
	v1alpha1.ReasonKeyExpiring:             Remark,
	v1alpha1.ReasonKeyUnused:               Remark,
	v1alpha1.ReasonKeyShared:               Remark,
	v1alpha1.ReasonAssignmentConflict:      Remark,
	v1alpha1.ReasonInvalidHostCertificate:  Remark, // the key works without it
	v1alpha1.ReasonHostCertificateExpired:  Remark,
	v1alpha1.ReasonHostCertificateExpiring: Remark,
	v1alpha1.ReasonRolloutQueued:           Remark, // pods of the previous template serve clients
	v1alpha1.ReasonRolloutPaused:           Remark,
	v1alpha1.ReasonRolloutBlocked:          Remark, // another condition has the cause
	v1alpha1.ReasonDrifted:                 Remark, // fields added by others are their responsibility
	v1alpha1.ReasonPodRestart:              Remark,
	v1alpha1.ReasonHomesMoved:              Remark,
	v1alpha1.ReasonUsersLockedOut:          Remark,
	v1alpha1.ReasonLoginExpiring:           Remark,
	v1alpha1.ReasonVolumeReadOnly:          Remark, // downloads continue, and an alert fires
	v1alpha1.ReasonVolumeFull:              Remark,
	v1alpha1.ReasonVolumePermissionDenied:  Remark,
	v1alpha1.ReasonVolumeNoAnswer:          Remark,
	v1alpha1.ReasonVolumeFailed:            Remark,
	v1alpha1.ReasonRetentionTooMany:        Remark, // files stay for longer, and an alert fires
	v1alpha1.ReasonRetentionClock:          Remark,
	v1alpha1.ReasonRetentionHoldMissing:    Remark,
	v1alpha1.ReasonRetentionVolume:         Remark,
	v1alpha1.ReasonRetentionIncomplete:     Remark,

	v1alpha1.ReasonSuspended:      Inactive,
	v1alpha1.ReasonExpired:        Inactive,
	v1alpha1.ReasonPaused:         Inactive,
	v1alpha1.ReasonScaledToZero:   Inactive,
	v1alpha1.ReasonKeyExpired:     Inactive,
	v1alpha1.ReasonKeyNotYetValid: Inactive,
	v1alpha1.ReasonNoValidKey:     Inactive, // the keys' dates are in the spec

	v1alpha1.ReasonPending:            Waiting,
	v1alpha1.ReasonConfigPending:      Waiting,
	v1alpha1.ReasonRemoving:           Waiting,
	v1alpha1.ReasonConfigRejected:     Waiting, // the pod is usually older than the operator, and about to be replaced
	v1alpha1.ReasonUserRejected:       Waiting,
	v1alpha1.ReasonPodUnreachable:     Waiting,
	v1alpha1.ReasonPodsUnavailable:    Waiting,
	v1alpha1.ReasonAddressNotAssigned: Waiting,
	v1alpha1.ReasonRollingOut:         Waiting,
	v1alpha1.ReasonVolumeNotMounted:   Waiting,
	v1alpha1.ReasonSecretUnreadable:   Waiting,
	v1alpha1.ReasonInternalError:      Waiting,
	v1alpha1.ReasonApplyPending:       Waiting,

	v1alpha1.ReasonListenerNotFound:     Missing,
	v1alpha1.ReasonNotAllowedByListener: Missing,
	v1alpha1.ReasonUsernameConflict:     Missing,
	v1alpha1.ReasonMethodNotAllowed:     Missing,
	v1alpha1.ReasonMethodsTooWeak:       Missing,
	v1alpha1.ReasonVolumeNotFound:       Missing,
	v1alpha1.ReasonListenerFull:         Missing,
	v1alpha1.ReasonNamespaceFull:        Missing,
	v1alpha1.ReasonAccessNotAllowed:     Missing,
	v1alpha1.ReasonUserTooLarge:         Missing,
	v1alpha1.ReasonSecretNotFound:       Missing,
	v1alpha1.ReasonSecretKeyMissing:     Missing,
	v1alpha1.ReasonKeyNotFound:          Missing,
	v1alpha1.ReasonKeyAssignedElsewhere: Missing,
	v1alpha1.ReasonNoCredentials:        Missing, // an SFTPKey may be about to name the user
	v1alpha1.ReasonFactorMissing:        Missing,
	v1alpha1.ReasonHostKeyNotFound:      Missing,
	v1alpha1.ReasonVolumeClaimNotFound:  Missing,
	v1alpha1.ReasonUserNotFound:         Missing,
	v1alpha1.ReasonDuplicateKey:         Missing,
	v1alpha1.ReasonResourceConflict:     Missing,
	v1alpha1.ReasonSecretConflict:       Missing,
	v1alpha1.ReasonRotationBlocked:      Missing,
	v1alpha1.ReasonWeakKey:              Missing,

	v1alpha1.ReasonRelayUnreachable: Waiting,
	v1alpha1.ReasonReceiverFailing:  Waiting,
	v1alpha1.ReasonOutboxFull:       Waiting,
	v1alpha1.ReasonReceiverGone:     Broken,
	v1alpha1.ReasonInvalidEventSink: Broken,
	v1alpha1.ReasonDeadLetters:      Broken,

	v1alpha1.ReasonPlatformPolicy:      Broken,
	v1alpha1.ReasonInvalidUsername:     Broken,
	v1alpha1.ReasonDirectoryNotAllowed: Broken,
	v1alpha1.ReasonDirectoriesOverlap:  Broken,
	v1alpha1.ReasonInvalidPublicKey:    Broken,
	v1alpha1.ReasonInvalidPassword:     Broken,
	v1alpha1.ReasonInvalidTOTPSecret:   Broken,
	v1alpha1.ReasonKeyRevoked:          Broken,
	v1alpha1.ReasonInvalidHostKey:      Broken,
	v1alpha1.ReasonInvalidUserCA:       Broken,
	v1alpha1.ReasonInvalidRevokedKey:   Broken,
	v1alpha1.ReasonInvalidKey:          Broken,
	v1alpha1.ReasonVolumeNotShareable:  Broken,
	v1alpha1.ReasonHomesWouldMove:      Broken,
	v1alpha1.ReasonApplyFailed:         Broken,
	v1alpha1.ReasonRolloutStalled:      Broken,
}

// ClassOf returns the class of a reason. A reason that is not in the table is Missing: it gets time to resolve, and is then
// shown.
func ClassOf(reason string) Class {
	if c, ok := classes[reason]; ok {
		return c
	}
	return Missing
}
