package v1alpha1

// Condition types. True is the good state of all except RetentionHalted, Reconciling, Stalled and Inactive,
// which exist only while they are True.
const (
	// ConditionAccepted reports whether the operator acts on the spec.
	//
	// True: Accepted, for a listener also CryptoPolicyExpired, HomesWouldMove, and for a user
	// LoginExpiring. False, listener: PlatformPolicy, VolumeNotShareable, HomesWouldMove,
	// Paused. False, user: ListenerNotFound, NotAllowedByListener, UsernameConflict,
	// InvalidUsername, MethodNotAllowed, VolumeNotFound, DirectoryNotAllowed,
	// AccessNotAllowed, DirectoriesOverlap, NamespaceFull, ListenerFull, UserTooLarge,
	// Suspended, Expired. Unknown: Pending, and for a listener InternalError.
	ConditionAccepted = "Accepted"

	// ConditionResolvedRefs reports whether everything that the spec refers to exists and
	// is usable.
	//
	// True: ResolvedRefs. False, listener: HostKeyNotFound, InvalidHostKey,
	// VolumeClaimNotFound, InvalidRevokedKey, InvalidUserCA, InvalidHostCertificate,
	// SecretNotFound, SecretKeyMissing. False, user: SecretNotFound, SecretKeyMissing,
	// InvalidPublicKey, InvalidPassword, KeyNotFound, KeyAssignedElsewhere, KeyRevoked,
	// InvalidUserCA, NoCredentials.
	// Unknown: Pending, SecretUnreadable.
	ConditionResolvedRefs = "ResolvedRefs"

	// ConditionObjectsApplied reports whether the API server has accepted every object that the operator
	// creates for a listener: Deployment, Service, claims and the like. It does not affect Ready: one object
	// that is refused does not keep clients from logging in.
	//
	// True: ObjectsApplied. False: ApplyFailed, ApplyPending, ResourceConflict, Drifted. Unknown: Pending, InternalError.
	ConditionObjectsApplied = "ObjectsApplied"

	// ConditionProgrammed reports whether the configuration of a listener is in its pods
	// and its address is assigned.
	//
	// True: Programmed. False: ConfigPending, ConfigRejected,
	// AddressNotAssigned, ResourceConflict, ApplyFailed, ApplyPending. Unknown: Pending, PodUnreachable, InternalError.
	ConditionProgrammed = "Programmed"

	// ConditionRolledOut reports whether a listener's pods run the current pod template. It
	// does not affect Ready: pods of the previous template also serve clients.
	//
	// True: RolledOut. False: RollingOut, RolloutStalled, RolloutQueued, RolloutPaused, RolloutBlocked, Drifted.
	ConditionRolledOut = "RolledOut"

	// ConditionVolumesWritable reports whether files can be created on each volume of a
	// listener that some user may write to. It does not affect Ready: downloads may
	// continue.
	//
	// True: VolumesWritable. False: VolumeReadOnly, VolumeFull, VolumePermissionDenied,
	// VolumeNotMounted, VolumeNoAnswer, VolumeFailed.
	ConditionVolumesWritable = "VolumesWritable"

	// ConditionEventsDelivered reports whether a listener's events reach their receivers. It exists only with
	// spec.events, and does not affect Ready: clients can log in, and events are kept.
	//
	// True: EventsDelivered, EventsNotDurable. False: SecretNotFound, SecretKeyMissing,
	// InvalidEventSink, PlatformPolicy, OutboxFull, ReceiverGone, ReceiverFailing, DeadLetters.
	// Unknown: Pending, RelayUnreachable, SecretUnreadable.
	ConditionEventsDelivered = "EventsDelivered"

	// ConditionReceiptsAvailable reports whether users can find the receipts for their uploads. It exists only with
	// spec.uploads.receipts, once a pod has reported, and does not affect Ready.
	//
	// True: ReceiptsAvailable, ReceiptsNotDurable, ReceiptsNotRemoved. False: ReceiptsFailing.
	ConditionReceiptsAvailable = "ReceiptsAvailable"

	// ConditionRetentionHalted reports that a rule of spec.retention does not delete although it should. It
	// exists only while it is True, and does not affect Ready.
	//
	// True: RetentionTooMany, RetentionClock, RetentionHoldMissing, RetentionVolume, RetentionIncomplete.
	ConditionRetentionHalted = "RetentionHalted"

	// ConditionReady is the summary that people and scripts wait for: clients can log in. It has
	// the reason of the condition that keeps it from being True. It is absent while the object
	// is Inactive.
	//
	// True: Ready, and for a key KeyExpiring, KeyUnused, RotationBlocked, InvalidHostCertificate,
	// HostCertificateExpired, HostCertificateExpiring. Otherwise: the reasons of Accepted, ResolvedRefs and
	// Programmed; for a listener PodsUnavailable; for a user PodsUnavailable, ConfigPending,
	// Removing, UserRejected, UserTooLarge, VolumeNotMounted; for a key SecretNotFound, SecretConflict, InvalidKey,
	// InvalidPublicKey, UserNotFound, DuplicateKey, WeakKey, KeyRevoked, ApplyFailed. Unknown: Pending.
	ConditionReady = "Ready"

	// ConditionKeysValid reports whether each key of a user is valid and stays valid, and
	// when one needs attention.
	//
	// True: KeysValid, KeyUnused, KeyShared. False: KeyExpired, KeyNotYetValid, KeyExpiring.
	ConditionKeysValid = "KeysValid"

	// ConditionAssigned reports whether only the user of userRef has the key.
	//
	// True: Assigned. False: UserNotFound, DuplicateKey, AssignmentConflict.
	ConditionAssigned = "Assigned"

	// ConditionReconciling reports that the object is progressing toward its spec without intervention. It
	// has the reason and message of the condition that it waits for. kstatus uses it.
	ConditionReconciling = "Reconciling"

	// ConditionStalled reports that the object cannot reach its spec until someone corrects something, that
	// a step which needs no intervention takes more than ten minutes, or that another object has been
	// missing for more than two. It has the reason and message of the condition that names the problem.
	// kstatus uses it.
	ConditionStalled = "Stalled"

	// ConditionInactive reports that the object is intentionally not in effect. Ready
	// is absent meanwhile.
	//
	// True: of a user Suspended, Expired, NoValidKey, ScaledToZero; of a listener Paused, ScaledToZero; of a
	// key KeyExpired, KeyNotYetValid.
	ConditionInactive = "Inactive"
)

// Reasons of conditions that are True or Unknown.
const (
	// ReasonPending: the operator has not processed the object yet. If this persists, the operator is not
	// running or does not watch the namespace.
	ReasonPending = "Pending"
	// ReasonAccepted: the operator acts on the spec.
	ReasonAccepted = "Accepted"
	// ReasonResolvedRefs: all references were found and are usable.
	ReasonResolvedRefs = "ResolvedRefs"
	// ReasonObjectsApplied: the API server has accepted every object of the listener.
	ReasonObjectsApplied = "ObjectsApplied"
	// ReasonProgrammed: every ready pod has loaded the current configuration.
	ReasonProgrammed = "Programmed"
	// ReasonInternalError: the operator failed on this object because of a bug. Its log has the details. What
	// was delivered before stays, and the operator retries.
	ReasonInternalError = "InternalError"
	// ReasonReady: clients can log in.
	ReasonReady = "Ready"
	// ReasonKeysValid: no key of the user has expired or is about to.
	ReasonKeysValid = "KeysValid"
	// ReasonEventsDelivered: every receiver accepts the events that it is sent.
	ReasonEventsDelivered = "EventsDelivered"
	// ReasonEventsNotDurable: events are delivered, but a pod that is killed may lose those of
	// uploads that it has just answered with OK. The message says why; usually
	// spec.uploads.publish is not OnClose, or the volume has no locks or no fsync.
	ReasonEventsNotDurable = "EventsNotDurable"
	// ReasonReceiptsAvailable: each upload with a checksum has a receipt that its user can fetch.
	ReasonReceiptsAvailable = "ReceiptsAvailable"
	// ReasonReceiptsNotDurable: receipts are issued, but a pod that is killed may lose those of uploads that it has just
	// answered with OK. The message says why: the volume has no locks or no fsync.
	ReasonReceiptsNotDurable = "ReceiptsNotDurable"
	// ReasonReceiptsNotRemoved: receipts are issued, but a pod cannot remove old ones. The message says why.
	ReasonReceiptsNotRemoved = "ReceiptsNotRemoved"
	// ReasonReceiptsFailing: a pod cannot write receipts to where their users find them. It keeps them and retries; once they
	// fill the space for events, uploads are refused. The message says why.
	ReasonReceiptsFailing = "ReceiptsFailing"
	// ReasonRelayUnreachable: the relay that delivers the events does not answer the operator, or cannot reach any of the pods.
	// kubectl describe of its pods says why. The events are kept.
	ReasonRelayUnreachable = "RelayUnreachable"
	// ReasonAssigned: only the user of userRef logs in with the key.
	ReasonAssigned = "Assigned"
)

// Reasons of a listener's conditions.
const (
	// ReasonCryptoPolicyExpired: Legacy2026 has reached cryptoPolicyExpirationTime and new
	// connections are offered Modern2026. Set cryptoPolicy to that, or a later time.
	ReasonCryptoPolicyExpired = "CryptoPolicyExpired"
	// ReasonPlatformPolicy: the platform's bounds do not allow the spec. Pods, Service and claims
	// stay as they are, and users come and go. The message names each rule: change the spec, or
	// ask the platform team.
	ReasonPlatformPolicy = "PlatformPolicy"
	// ReasonInvalidEventSink: a sink of spec.events cannot be used: its filter cannot be compiled, or a
	// Secret's content is invalid. Its events are kept until it is corrected.
	ReasonInvalidEventSink = "InvalidEventSink"
	// ReasonOutboxFull: a pod has no room for further events. Uploads are refused, or the oldest events
	// dropped, depending on spec.events.outbox.whenFull. Make the receiver accept them, or raise
	// outbox.maxSize.
	ReasonOutboxFull = "OutboxFull"
	// ReasonReceiverGone: a receiver answered 410 Gone, so nothing is sent to it until the spec
	// changes. Correct the sink, or remove it.
	ReasonReceiverGone = "ReceiverGone"
	// ReasonReceiverFailing: a receiver does not accept events. They are kept and sent again. The
	// message contains its last answer.
	ReasonReceiverFailing = "ReceiverFailing"
	// ReasonDeadLetters: events could not be delivered, and are kept as dead letters. kubectl sftp
	// events list shows them; replay or drop them.
	ReasonDeadLetters = "DeadLetters"
	// ReasonHomesWouldMove: the spec would put the home directories on a volume other than the one that has
	// them. They stay there, and if the spec no longer has that volume, users whose directories are in it
	// cannot log in. Name it in homeDirectory.volume, or move the files and name it in
	// homeDirectory.movedFrom.
	ReasonHomesWouldMove = "HomesWouldMove"
	// ReasonHomesMoved, of an event: home directories are now on a different volume.
	ReasonHomesMoved = "HomesMoved"
	// ReasonPaused: the annotation sftp-operator.io/paused is "true". Remove it to let the
	// operator continue.
	ReasonPaused = "Paused"
	// ReasonVolumeNotShareable: several replicas on a claim that only one node can
	// mount. Lower replicas or use a ReadWriteMany claim.
	ReasonVolumeNotShareable = "VolumeNotShareable"
	// ReasonVolumeClaimNotFound: a claim that volumes names does not exist. Create it or
	// correct the name.
	ReasonVolumeClaimNotFound = "VolumeClaimNotFound"
	// ReasonHostKeyNotFound: an SFTPKey of hostKeyRefs, or its Secret, does not exist. Pods
	// keep using the host keys that they have.
	ReasonHostKeyNotFound = "HostKeyNotFound"
	// ReasonInvalidHostKey: a host key cannot be used. The message says why.
	ReasonInvalidHostKey = "InvalidHostKey"
	// ReasonInvalidUserCA: a key of trustedUserCAs cannot be used. The message says which,
	// and why.
	ReasonInvalidUserCA = "InvalidUserCA"
	// ReasonInvalidRevokedKey: an entry of revokedKeys is not a public key, so it revokes
	// nothing; or a list of revokedKeysSecretRefs cannot be read. The message says which.
	ReasonInvalidRevokedKey = "InvalidRevokedKey"
	// ReasonConfigPending: pods have not loaded the current configuration yet.
	ReasonConfigPending = "ConfigPending"
	// ReasonConfigRejected: a pod could not load the configuration and keeps the previous
	// one. Its log says why.
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
	// ReasonApplyPending: the API server could not process an object for now, for example because it
	// did not answer in time. The operator retries.
	ReasonApplyPending = "ApplyPending"
	// ReasonRolledOut: all pods run the current template.
	ReasonRolledOut = "RolledOut"
	// ReasonRollingOut: pods are being replaced, or started for the first time.
	ReasonRollingOut = "RollingOut"
	// ReasonRolloutStalled: the new pods do not become ready within the Deployment's time.
	ReasonRolloutStalled = "RolloutStalled"
	// ReasonRolloutQueued: a change that came with the operator's version waits until other listeners'
	// rollouts are complete; status.pendingRestart describes it.
	ReasonRolloutQueued = "RolloutQueued"
	// ReasonRolloutPaused: a change to the pods waits until infrastructure.rollout is Automatic;
	// status.pendingRestart describes it.
	ReasonRolloutPaused = "RolloutPaused"
	// ReasonRolloutBlocked: a change to the pods was waiting and currently cannot be applied;
	// another condition says why.
	ReasonRolloutBlocked = "RolloutBlocked"
	// ReasonDrifted: the pod template of the Deployment has fields that the operator did not set. The message
	// names them; remove them.
	ReasonDrifted = "Drifted"
	// ReasonVolumesWritable: each volume that a user may write to can be written.
	ReasonVolumesWritable = "VolumesWritable"
	// ReasonVolumeReadOnly: the file system of a volume is read-only.
	ReasonVolumeReadOnly = "VolumeReadOnly"
	// ReasonVolumeFull: a volume has no space or no inodes left, or its quota is used up.
	ReasonVolumeFull = "VolumeFull"
	// ReasonVolumePermissionDenied: the user and group of the pods may not write to a volume.
	ReasonVolumePermissionDenied = "VolumePermissionDenied"
	// ReasonVolumeNotMounted: a pod does not have a volume, usually because it is older and its restart is pending.
	ReasonVolumeNotMounted = "VolumeNotMounted"
	// ReasonVolumeNoAnswer: a volume does not answer. Its server may be down.
	ReasonVolumeNoAnswer = "VolumeNoAnswer"
	// ReasonVolumeFailed: a volume is not writable; the pod's log says why.
	ReasonVolumeFailed = "VolumeFailed"
	// ReasonRetentionTooMany: a rule of retention would delete more files than its maxFiles or maxPercent allow, so it
	// deletes none of them. Check whether the rule is right; if it is, raise the limit.
	ReasonRetentionTooMany = "RetentionTooMany"
	// ReasonRetentionClock: the clock of a volume was changed, or differs from the pod's, so nothing is deleted until it
	// has been steady for a day.
	ReasonRetentionClock = "RetentionClock"
	// ReasonRetentionHoldMissing: a directory of retention.holds does not exist, so its whole top-level
	// directory is held. Correct its path, or remove the hold.
	ReasonRetentionHoldMissing = "RetentionHoldMissing"
	// ReasonRetentionVolume: retention cannot work on a volume, for example because it has no locks or its directory is not
	// writable. The message and the pod's log say why.
	ReasonRetentionVolume = "RetentionVolume"
	// ReasonRetentionIncomplete: a volume has more files than can be examined within six hours, so nothing was deleted. Give
	// rules a subPath.
	ReasonRetentionIncomplete = "RetentionIncomplete"
	// ReasonPodRestart, of an event: the only pod of a listener is about to terminate, so that a
	// new one can mount its volumes.
	ReasonPodRestart = "PodRestart"
	// ReasonUsersLockedOut, of an event: a change to the listener's spec locks users out. The message
	// counts them by their current reasons.
	ReasonUsersLockedOut = "UsersLockedOut"
	// ReasonPodsUnavailable: no pod is ready; for a user, no pod of its listener. kubectl describe of the pods says why.
	ReasonPodsUnavailable = "PodsUnavailable"
	// ReasonScaledToZero: replicas is 0.
	ReasonScaledToZero = "ScaledToZero"
)

// Reasons of a user's conditions.
const (
	// ReasonListenerNotFound: listenerRef names no SFTPListener.
	ReasonListenerNotFound = "ListenerNotFound"
	// ReasonNotAllowedByListener: no rule of the listener's allowedUsers matches the
	// namespace. Ask the listener's owner.
	ReasonNotAllowedByListener = "NotAllowedByListener"
	// ReasonUsernameConflict: another SFTPUser of the listener has the login name: an older
	// one, or one that had it before.
	ReasonUsernameConflict = "UsernameConflict"
	// ReasonInvalidUsername: the login name cannot be used.
	ReasonInvalidUsername = "InvalidUsername"
	// ReasonMethodNotAllowed: the listener, or the rule of its allowedUsers for the namespace,
	// does not allow a way to log in that the user asks for, or the user accepts certificates
	// and the listener trusts no CA.
	ReasonMethodNotAllowed = "MethodNotAllowed"
	// ReasonMethodsTooWeak: a combination of the user's methods contains none of the listener's requiredMethods.
	ReasonMethodsTooWeak = "MethodsTooWeak"
	// ReasonVolumeNotFound: the listener has no volume with that name.
	ReasonVolumeNotFound = "VolumeNotFound"
	// ReasonDirectoryNotAllowed: the rule of the listener's allowedUsers for the namespace does
	// not allow a directory that the user asks for.
	ReasonDirectoryNotAllowed = "DirectoryNotAllowed"
	// ReasonAccessNotAllowed: the rule of the listener's allowedUsers for the namespace allows
	// less access to a directory than the user asks for.
	ReasonAccessNotAllowed = "AccessNotAllowed"
	// ReasonDirectoriesOverlap: one directory of the user contains another with different
	// access, so that one would allow what the other forbids.
	ReasonDirectoriesOverlap = "DirectoriesOverlap"
	// ReasonNamespaceFull: the namespace has as many logins on the listener as its rule of allowedUsers allows.
	ReasonNamespaceFull = "NamespaceFull"
	// ReasonListenerFull: the listener has maxUsers logins already.
	ReasonListenerFull = "ListenerFull"
	// ReasonUserTooLarge: the user's keys have outgrown the room that the listener has, or the
	// limit for one user. Those that it had before, and still has, continue to work.
	ReasonUserTooLarge = "UserTooLarge"
	// ReasonSuspended: state is Suspended.
	ReasonSuspended = "Suspended"
	// ReasonExpired: expirationTime has passed.
	ReasonExpired = "Expired"
	// ReasonLoginExpiring, of an accepted user: expirationTime is within the listener's
	// keyPolicy.expiringWithinDays.
	ReasonLoginExpiring = "LoginExpiring"
	// ReasonSecretNotFound: a Secret that is referred to does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretKeyMissing: a Secret lacks the entry that is referred to.
	ReasonSecretKeyMissing = "SecretKeyMissing"
	// ReasonSecretUnreadable, of users and listeners: the API server did not return a Secret that is referred
	// to. What was read from it before stays in effect, and the operator retries.
	ReasonSecretUnreadable = "SecretUnreadable"
	// ReasonInvalidPublicKey: a public key cannot be used. The message says which line
	// and why.
	ReasonInvalidPublicKey = "InvalidPublicKey"
	// ReasonInvalidPassword: the password is empty, too long, or shorter than the listener's
	// passwordPolicy requires; or a value that should be a hash is not usable.
	ReasonInvalidPassword = "InvalidPassword"
	// ReasonInvalidTOTPSecret: the secret of an authenticator app is neither base32 nor an otpauth URI, is
	// too short, or is for codes that are not supported.
	ReasonInvalidTOTPSecret = "InvalidTOTPSecret"
	// ReasonFactorMissing: the user lacks a credential, or a second key, that its methods or
	// the listener's requiredMethods require.
	ReasonFactorMissing = "FactorMissing"
	// ReasonKeyNotFound: an SFTPKey that is assigned to the user is not ready.
	ReasonKeyNotFound = "KeyNotFound"
	// ReasonKeyAssignedElsewhere: an SFTPKey of the namespace assigns a key of the user to
	// another user. Give each user a key of its own.
	ReasonKeyAssignedElsewhere = "KeyAssignedElsewhere"
	// ReasonNoCredentials: the user has neither a key nor a password, and accepts
	// no certificates.
	ReasonNoCredentials = "NoCredentials"
	// ReasonNoValidKey: all keys of the user have expired or are not valid yet, and the
	// user cannot log in without one.
	ReasonNoValidKey = "NoValidKey"
	// ReasonKeyRevoked: the listener's revokedKeys names a key of the user, or this SFTPKey's.
	ReasonKeyRevoked = "KeyRevoked"
	// ReasonRemoving: the user is not accepted, and not every pod has acknowledged yet that the
	// login is gone. The condition Accepted says why.
	ReasonRemoving = "Removing"
	// ReasonUserRejected: a pod refused the user's record, usually because its daemon is
	// older than the operator. The user cannot log in there.
	ReasonUserRejected = "UserRejected"
)

// Reasons of keys' times and use, for users and keys.
const (
	// ReasonKeyExpired: the expirationTime of a key has passed. Give the user a new one.
	ReasonKeyExpired = "KeyExpired"
	// ReasonKeyNotYetValid: the notBefore of a key is in the future.
	ReasonKeyNotYetValid = "KeyNotYetValid"
	// ReasonKeyExpiring: a key expires within the listener's keyPolicy.expiringWithinDays.
	ReasonKeyExpiring = "KeyExpiring"
	// ReasonKeyUnused: a key has not been used for the listener's keyPolicy.unusedAfterDays.
	// Remove it if it is no longer needed.
	ReasonKeyUnused = "KeyUnused"
	// ReasonKeyShared: several SFTPUsers of the namespace have the key, so that it does not
	// show who logs in.
	ReasonKeyShared = "KeyShared"
)

// Reasons of a key's conditions, in addition to those above.
const (
	// ReasonUserNotFound: userRef names no SFTPUser of the namespace.
	ReasonUserNotFound = "UserNotFound"
	// ReasonDuplicateKey: an older SFTPKey assigns the same key to another user.
	ReasonDuplicateKey = "DuplicateKey"
	// ReasonAssignmentConflict: users other than the one in userRef have the key in their spec. They cannot use it.
	ReasonAssignmentConflict = "AssignmentConflict"
	// ReasonRotationBlocked: the Secret of the next revision exists and belongs to something
	// else, or holds no key; or the API server refuses to create it, for example because of a
	// quota; or listeners still use many former revisions. The current pair continues to work.
	ReasonRotationBlocked = "RotationBlocked"
	// ReasonInvalidHostCertificate: the entry ssh-certificate of a host key's Secret cannot be
	// used. The key works without it.
	ReasonInvalidHostCertificate = "InvalidHostCertificate"
	// ReasonHostCertificateExpired: the host certificate has expired. The key works without it.
	ReasonHostCertificateExpired = "HostCertificateExpired"
	// ReasonHostCertificateExpiring: the host certificate expires soon, and has not been renewed.
	ReasonHostCertificateExpiring = "HostCertificateExpiring"
	// ReasonWeakKey: the cryptoPolicy of the user's listener does not allow the key.
	ReasonWeakKey = "WeakKey"
	// ReasonSecretConflict: the Secret exists and belongs to something else.
	ReasonSecretConflict = "SecretConflict"
	// ReasonInvalidKey: the Secret does not hold a usable key.
	ReasonInvalidKey = "InvalidKey"
)
