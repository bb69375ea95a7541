package v1alpha1

// Labels and annotations that the operator writes or reads.
const (
	// LabelListener, on every object that the operator makes for a listener, names
	// that listener, and selects its pods. An object without it is never adopted.
	LabelListener = "sftp-operator.io/listener"

	// LabelKey, on the Secret of an SFTPKey, names that SFTPKey. A name of more than 63
	// characters, the most that a label can have, is cut and has a hash after it.
	LabelKey = "sftp-operator.io/key"

	// AnnotationConfigDigest, on a pod, is the digest of the configuration that the
	// operator last wrote for it. Changing it makes the kubelet refresh the pod's
	// Secret volume at once; the daemon does not read it.
	AnnotationConfigDigest = "sftp-operator.io/config-digest"

	// AnnotationPoke, on a pod, is when the operator last asked the kubelet to look at it.
	AnnotationPoke = "sftp-operator.io/poke"

	// AnnotationApplied, on an object that the operator made, is the checksum of what it
	// wanted there. With it an operator that has just started sees that there is nothing
	// to write.
	AnnotationApplied = "sftp-operator.io/applied"

	// AnnotationRollout, on a listener's Deployment, is what its pod template was made of,
	// to tell what a later one changes, and who changed it.
	AnnotationRollout = "sftp-operator.io/rollout"

	// AnnotationAdopt, with the value "true" on an object that has no owner and the label
	// LabelListener, lets the operator take it over for that listener.
	AnnotationAdopt = "sftp-operator.io/adopt"

	// AnnotationPaused, with the value "true" on a listener, stops the operator
	// from changing anything that belongs to it.
	AnnotationPaused = "sftp-operator.io/paused"
)
