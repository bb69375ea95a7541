package v1alpha1

// Condition types. All have positive polarity: True is the good state.
const (
	// ConditionAccepted says whether the spec is one that the operator acts upon.
	//
	// True: Accepted, and for a listener CryptoPolicyExpired. False, listener: VolumeNotShareable, Paused. False, user:
	// ListenerNotFound, NotAllowedByListener, UsernameConflict, InvalidUsername,
	// MethodNotAllowed, VolumeNotFound, DirectoryNotAllowed, DirectoriesOverlap, ListenerFull, UserTooLarge,
	// Suspended, Expired. Unknown: Pending, and for a listener InternalError.
	ConditionAccepted = "Accepted"

	// ConditionResolvedRefs says whether everything that the spec refers to is there
	// and usable.
	//
	// True: ResolvedRefs. False, listener: HostKeyNotFound, InvalidHostKey,
	// VolumeClaimNotFound, InvalidRevokedKey, InvalidUserCA, InvalidHostCertificate,
	// SecretNotFound, SecretKeyMissing. False, user: SecretNotFound, SecretKeyMissing,
	// InvalidPublicKey, InvalidPassword, KeyNotFound, KeyAssignedElsewhere, KeyRevoked,
	// InvalidUserCA, NoCredentials.
	// Unknown: Pending, SecretUnreadable.
	ConditionResolvedRefs = "ResolvedRefs"

	// ConditionObjectsApplied reports whether the API server has taken every object that the
	// operator makes for a listener: Deployment, Service, claims and the like. It has no part
	// in Ready: one object that is refused does not keep clients from logging in.
	//
	// True: ObjectsApplied. False: ApplyFailed, ResourceConflict. Unknown: Pending, InternalError.
	ConditionObjectsApplied = "ObjectsApplied"

	// ConditionProgrammed says whether the configuration of a listener is in its pods
	// and its address is assigned.
	//
	// True: Programmed. False: ConfigPending, ConfigRejected,
	// AddressNotAssigned, ResourceConflict, ApplyFailed. Unknown: Pending, PodUnreachable, InternalError.
	ConditionProgrammed = "Programmed"

	// ConditionRolledOut reports whether a listener's pods run the current pod template. It
	// has no part in Ready: pods of the previous template serve clients, too.
	//
	// True: RolledOut. False: RollingOut, RolloutQueued, RolloutPaused, RolloutBlocked, Drifted.
	ConditionRolledOut = "RolledOut"

	// ConditionVolumesWritable says whether files can be made on each volume of a listener
	// that some user may write to. It has no part in Ready: downloads may go on.
	//
	// True: VolumesWritable. False: VolumeReadOnly, VolumeFull, VolumePermissionDenied,
	// VolumeNotMounted, VolumeNoAnswer, VolumeFailed.
	ConditionVolumesWritable = "VolumesWritable"

	// ConditionReady is the summary that people and scripts wait for.
	//
	// True: Ready, and for a key KeyExpiring, KeyUnused, RotationBlocked, InvalidHostCertificate,
	// HostCertificateExpired, HostCertificateExpiring. False: NotAccepted, UnresolvedRefs, and for a
	// listener NotProgrammed, PodsUnavailable, ScaledToZero; for a user ConfigPending,
	// UserRejected, UserTooLarge, NoValidKey, VolumeNotMounted; for a key SecretNotFound, SecretConflict, InvalidKey, InvalidPublicKey,
	// KeyExpired, KeyNotYetValid, UserNotFound, DuplicateKey, WeakKey, KeyRevoked, ApplyFailed. Unknown: Pending.
	ConditionReady = "Ready"

	// ConditionKeysValid says whether each key of a user is valid and goes on to be, and
	// when one should be looked at.
	//
	// True: KeysValid, KeyUnused, KeyShared. False: KeyExpired, KeyNotYetValid, KeyExpiring.
	ConditionKeysValid = "KeysValid"

	// ConditionAssigned says whether an SFTPKey with userRef is that user's alone.
	//
	// True: Assigned. False: UserNotFound, DuplicateKey, AssignmentConflict.
	ConditionAssigned = "Assigned"
)

// Reasons of conditions that are True or Unknown.
const (
	// ReasonPending: the operator has not looked at the object yet. If it stays, the
	// operator is not running or does not watch the namespace.
	ReasonPending = "Pending"
	// ReasonAccepted: the spec is acted upon.
	ReasonAccepted = "Accepted"
	// ReasonResolvedRefs: all references were found and are usable.
	ReasonResolvedRefs = "ResolvedRefs"
	// ReasonObjectsApplied: the API server has taken every object of the listener.
	ReasonObjectsApplied = "ObjectsApplied"
	// ReasonProgrammed: every ready pod has loaded the present configuration.
	ReasonProgrammed = "Programmed"
	// ReasonInternalError: the operator failed at this object because of a fault of its own. Its
	// log has the details. What was delivered before stays, and it is tried again.
	ReasonInternalError = "InternalError"
	// ReasonReady: clients can log in.
	ReasonReady = "Ready"
	// ReasonKeysValid: no key of the user has expired or is about to.
	ReasonKeysValid = "KeysValid"
	// ReasonAssigned: the user of userRef, and nobody else, logs in with the key.
	ReasonAssigned = "Assigned"
)

// Reasons of a listener's conditions.
const (
	// ReasonCryptoPolicyExpired: Legacy2026 has reached cryptoPolicyExpirationTime and new
	// connections are offered Modern2026. Set cryptoPolicy to that, or a later time.
	ReasonCryptoPolicyExpired = "CryptoPolicyExpired"
	// ReasonPaused: the annotation sftp-operator.io/paused is "true". Remove it to let
	// the operator go on.
	ReasonPaused = "Paused"
	// ReasonVolumeNotShareable: several replicas on a claim that only one node can
	// mount. Lower replicas or use a ReadWriteMany claim.
	ReasonVolumeNotShareable = "VolumeNotShareable"
	// ReasonVolumeClaimNotFound: a claim that volumes names does not exist. Make it or
	// correct the name.
	ReasonVolumeClaimNotFound = "VolumeClaimNotFound"
	// ReasonHostKeyNotFound: an SFTPKey of hostKeyRefs, or its Secret, does not exist.
	// Pods go on with the host keys that they have.
	ReasonHostKeyNotFound = "HostKeyNotFound"
	// ReasonInvalidHostKey: a host key cannot be used. The message says why.
	ReasonInvalidHostKey = "InvalidHostKey"
	// ReasonInvalidUserCA: a key of trustedUserCAs cannot be used. The message says which,
	// and why.
	ReasonInvalidUserCA = "InvalidUserCA"
	// ReasonInvalidRevokedKey: an entry of revokedKeys is no public key, so it revokes
	// nothing; or a list of revokedKeysSecretRefs cannot be read. The message says which.
	ReasonInvalidRevokedKey = "InvalidRevokedKey"
	// ReasonConfigPending: pods have not loaded the present configuration yet.
	ReasonConfigPending = "ConfigPending"
	// ReasonConfigRejected: a pod could not load the configuration and goes on with the
	// one before. Its log says why.
	ReasonConfigRejected = "ConfigRejected"
	// ReasonPodUnreachable: the operator cannot reach port 8081 of a ready pod. Check
	// NetworkPolicies.
	ReasonPodUnreachable = "PodUnreachable"
	// ReasonAddressNotAssigned: the load balancer has not assigned an address yet.
	ReasonAddressNotAssigned = "AddressNotAssigned"
	// ReasonResourceConflict: an object with a name that the operator needs exists and
	// is not its own. Rename or delete that object.
	ReasonResourceConflict = "ResourceConflict"
	// ReasonApplyFailed: the API server refused an object, for example because of a quota.
	// The message is its answer.
	ReasonApplyFailed = "ApplyFailed"
	// ReasonRolledOut: all pods are of the present template.
	ReasonRolledOut = "RolledOut"
	// ReasonRollingOut: pods are being replaced, or started for the first time.
	ReasonRollingOut = "RollingOut"
	// ReasonRolloutQueued: a change that came with the operator's version waits until other
	// listeners' roll-outs are complete; status.pendingRestart has what it is.
	ReasonRolloutQueued = "RolloutQueued"
	// ReasonRolloutPaused: a change of the pods waits until infrastructure.rollout is
	// Automatic; status.pendingRestart has what it is.
	ReasonRolloutPaused = "RolloutPaused"
	// ReasonRolloutBlocked: a change of the pods waited and cannot be made now; another
	// condition says why.
	ReasonRolloutBlocked = "RolloutBlocked"
	// ReasonDrifted: the pod template of the Deployment has what the operator did not put
	// there. The message names the fields; remove them.
	ReasonDrifted = "Drifted"
	// ReasonVolumesWritable: each volume that a user may write to can be written.
	ReasonVolumesWritable = "VolumesWritable"
	// ReasonVolumeReadOnly: the file system of a volume is read-only.
	ReasonVolumeReadOnly = "VolumeReadOnly"
	// ReasonVolumeFull: a volume has no space or no inodes left, or its quota is used up.
	ReasonVolumeFull = "VolumeFull"
	// ReasonVolumePermissionDenied: the user and group of the pods may not write to a volume.
	ReasonVolumePermissionDenied = "VolumePermissionDenied"
	// ReasonVolumeNotMounted: a pod does not have a volume, mostly because it is older and
	// its restart waits.
	ReasonVolumeNotMounted = "VolumeNotMounted"
	// ReasonVolumeNoAnswer: a volume does not answer. Its server may be away.
	ReasonVolumeNoAnswer = "VolumeNoAnswer"
	// ReasonVolumeFailed: a volume cannot be written; the pod's log says why.
	ReasonVolumeFailed = "VolumeFailed"
	// ReasonPodRestart, of an event: the only pod of a listener is about to end, so that a
	// new one can mount its volumes.
	ReasonPodRestart = "PodRestart"
	// ReasonPodsUnavailable: no pod is ready. kubectl describe the pods.
	ReasonPodsUnavailable = "PodsUnavailable"
	// ReasonScaledToZero: replicas is 0.
	ReasonScaledToZero = "ScaledToZero"
	// ReasonNotAccepted: see the condition Accepted.
	ReasonNotAccepted = "NotAccepted"
	// ReasonUnresolvedRefs: see the condition ResolvedRefs.
	ReasonUnresolvedRefs = "UnresolvedRefs"
	// ReasonNotProgrammed: see the condition Programmed.
	ReasonNotProgrammed = "NotProgrammed"
)

// Reasons of a user's conditions.
const (
	// ReasonListenerNotFound: listenerRef names no SFTPListener.
	ReasonListenerNotFound = "ListenerNotFound"
	// ReasonNotAllowedByListener: the listener's allowedUsers does not admit the
	// namespace. Ask the listener's owner.
	ReasonNotAllowedByListener = "NotAllowedByListener"
	// ReasonUsernameConflict: another SFTPUser of the listener has the login name: an older
	// one, or one that had it before.
	ReasonUsernameConflict = "UsernameConflict"
	// ReasonInvalidUsername: the login name cannot be used.
	ReasonInvalidUsername = "InvalidUsername"
	// ReasonMethodNotAllowed: the listener does not allow a way to log in that the user
	// asks for, or the user accepts certificates and the listener trusts no CA.
	ReasonMethodNotAllowed = "MethodNotAllowed"
	// ReasonMethodsTooWeak: a combination of the user's methods has none of the listener's
	// requiredMethods in it.
	ReasonMethodsTooWeak = "MethodsTooWeak"
	// ReasonVolumeNotFound: the listener has no volume of that name.
	ReasonVolumeNotFound = "VolumeNotFound"
	// ReasonDirectoryNotAllowed: scope Volume outside of the listener's namespace.
	ReasonDirectoryNotAllowed = "DirectoryNotAllowed"
	// ReasonDirectoriesOverlap: two directories of the user contain each other with different
	// access, so that the one would open what the other closes.
	ReasonDirectoriesOverlap = "DirectoriesOverlap"
	// ReasonListenerFull: the listener has maxUsers logins already.
	ReasonListenerFull = "ListenerFull"
	// ReasonUserTooLarge: the user's keys have grown by more than the listener has room for, or
	// by more than a user may have. Those that it had before, and still has, continue to work.
	ReasonUserTooLarge = "UserTooLarge"
	// ReasonSuspended: state is Suspended.
	ReasonSuspended = "Suspended"
	// ReasonExpired: expirationTime has passed.
	ReasonExpired = "Expired"
	// ReasonSecretNotFound: a Secret that is referred to does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretKeyMissing: a Secret lacks the entry that is referred to.
	ReasonSecretKeyMissing = "SecretKeyMissing"
	// ReasonSecretUnreadable, of users and listeners: the API server did not give a Secret that
	// is referred to. What was read of it before stays, and it is tried again.
	ReasonSecretUnreadable = "SecretUnreadable"
	// ReasonInvalidPublicKey: a public key cannot be used. The message says which line
	// and why.
	ReasonInvalidPublicKey = "InvalidPublicKey"
	// ReasonInvalidPassword: the password is empty, too long, or shorter than the listener's
	// passwordPolicy asks for; or what should be a hash is none that can be used.
	ReasonInvalidPassword = "InvalidPassword"
	// ReasonInvalidTOTPSecret: the secret of an authenticator app is not base32 and no otpauth
	// URI, is too short, or is for codes that are not supported.
	ReasonInvalidTOTPSecret = "InvalidTOTPSecret"
	// ReasonFactorMissing: the user lacks a credential, or a second key, that its methods or
	// the listener's requiredMethods ask for.
	ReasonFactorMissing = "FactorMissing"
	// ReasonKeyNotFound: keyRefs names an SFTPKey that is missing or not ready.
	ReasonKeyNotFound = "KeyNotFound"
	// ReasonKeyAssignedElsewhere: an SFTPKey of the namespace assigns a key of the user to
	// another one. Give each user a key of its own.
	ReasonKeyAssignedElsewhere = "KeyAssignedElsewhere"
	// ReasonNoCredentials: the user has neither a key nor a password, and accepts
	// no certificates.
	ReasonNoCredentials = "NoCredentials"
	// ReasonNoValidKey: all keys of the user have expired or are not valid yet, and it may
	// not log in without one.
	ReasonNoValidKey = "NoValidKey"
	// ReasonKeyRevoked: the listener's revokedKeys names a key of the user, or this SFTPKey's.
	ReasonKeyRevoked = "KeyRevoked"
	// ReasonUserRejected: a pod refused the user's record, mostly because its daemon is
	// older than the operator. The user cannot log in there.
	ReasonUserRejected = "UserRejected"
)

// Reasons of keys' times and use, for users and keys.
const (
	// ReasonKeyExpired: the expirationTime of a key has passed. Give the user a new one.
	ReasonKeyExpired = "KeyExpired"
	// ReasonKeyNotYetValid: the notBefore of a key is still to come.
	ReasonKeyNotYetValid = "KeyNotYetValid"
	// ReasonKeyExpiring: a key ends within the listener's keyPolicy.expiringWithinDays.
	ReasonKeyExpiring = "KeyExpiring"
	// ReasonKeyUnused: a key was not used for the listener's keyPolicy.unusedAfterDays. Who
	// needs it no more should not have it.
	ReasonKeyUnused = "KeyUnused"
	// ReasonKeyShared: several SFTPUsers of the namespace have the key, so that it does not
	// show who logs in.
	ReasonKeyShared = "KeyShared"
)

// Reasons of a key's conditions, beside those above.
const (
	// ReasonUserNotFound: userRef names no SFTPUser of the namespace.
	ReasonUserNotFound = "UserNotFound"
	// ReasonDuplicateKey: an older SFTPKey assigns the same key to another user.
	ReasonDuplicateKey = "DuplicateKey"
	// ReasonAssignmentConflict: other users than that of userRef have the key in their
	// spec. They cannot use it.
	ReasonAssignmentConflict = "AssignmentConflict"
	// ReasonRotationBlocked: the Secret of the next revision exists and belongs to something
	// else, or holds no key; or the API server refuses to create it, for example because of a
	// quota; or listeners still use many former revisions. The current pair continues to work.
	ReasonRotationBlocked = "RotationBlocked"
	// ReasonInvalidHostCertificate: the entry ssh-certificate of a host key's Secret cannot be
	// used. The key works without it.
	ReasonInvalidHostCertificate = "InvalidHostCertificate"
	// ReasonHostCertificateExpired: the host certificate has ended. The key works without it.
	ReasonHostCertificateExpired = "HostCertificateExpired"
	// ReasonHostCertificateExpiring: the host certificate ends soon, and nobody has renewed it.
	ReasonHostCertificateExpiring = "HostCertificateExpiring"
	// ReasonWeakKey: the cryptoPolicy of the user's listener does not admit the key.
	ReasonWeakKey = "WeakKey"
	// ReasonSecretConflict: the Secret exists and belongs to something else.
	ReasonSecretConflict = "SecretConflict"
	// ReasonInvalidKey: the Secret does not hold a usable key.
	ReasonInvalidKey = "InvalidKey"
)
