package v1alpha1

// Labels and annotations that the operator writes or reads.
const (
	// LabelListener, on every object that the operator makes for a listener, names
	// that listener, and selects its pods. An object without it is never adopted.
	LabelListener = "sftp-operator.io/listener"

	// LabelRelay, on the pods and the Deployment of a listener's relay, names the listener. The
	// pods do not have LabelListener, which selects those that serve clients.
	LabelRelay = "sftp-operator.io/relay"

	// LabelKey, on the Secret of an SFTPKey, names that SFTPKey. A name of more than 63
	// characters, the most that a label can have, is cut and has a hash after it.
	LabelKey = "sftp-operator.io/key"

	// AnnotationMade, on the Secret of a generated pair, is when the pair was made, as RFC 3339. Unlike the
	// creation time of the Secret, it survives a backup. Without it, or with a value that is not a time or is
	// in the future, the creation time counts.
	AnnotationMade = "sftp-operator.io/made"

	// LabelRecord, on the Secret <listener>-sftp-record, names the listener that the record
	// belongs to. The record shows where its homes are, its host keys, and who holds contested
	// login names. Back it up.
	LabelRecord = "sftp-operator.io/record"

	// LabelReceiptKey, on the Secret <listener>-sftp-receipt-key, names the listener whose receipts the
	// key signs. Back it up: it also has the public keys that receipts were signed with before.
	LabelReceiptKey = "sftp-operator.io/receipt-key"

	// AnnotationConfigDigest, on a pod, is the digest of the configuration that the
	// operator last wrote for it. Changing it makes the kubelet refresh the pod's
	// Secret volume at once; the daemon does not read it.
	AnnotationConfigDigest = "sftp-operator.io/config-digest"

	// AnnotationSyncRequested, on a pod, is when the operator last asked the kubelet to refresh its volumes.
	AnnotationSyncRequested = "sftp-operator.io/sync-requested"

	// AnnotationApplied, on an object that the operator made, is the checksum of the
	// content that it applied. A newly started operator compares it to see whether there
	// is anything to write.
	AnnotationApplied = "sftp-operator.io/applied"

	// AnnotationRollout, on a listener's Deployment, records what its pod template was made from, to find out
	// what a later one changes, and who changed it.
	AnnotationRollout = "sftp-operator.io/rollout"

	// AnnotationAdopt, with the value "true" on an object that has no owner and the label
	// LabelListener, lets the operator take it over for that listener.
	AnnotationAdopt = "sftp-operator.io/adopt"

	// AnnotationPaused, with the value "true" on a listener, stops the operator
	// from changing anything that belongs to it.
	AnnotationPaused = "sftp-operator.io/paused"
)
