package v1alpha1

// ListenerEffective shows the settings of a listener that are in effect. Each field has the same name as in the spec.
type ListenerEffective struct {
	// authentication is how clients may log in.
	// +optional
	Authentication EffectiveAuthentication `json:"authentication,omitempty,omitzero"`

	// homeDirectory is where home directories are.
	// +optional
	HomeDirectory ListenerHomeDirectory `json:"homeDirectory,omitempty,omitzero"`

	// keyPolicy controls when users' keys are reported as expiring or unused.
	// +optional
	KeyPolicy ListenerKeyPolicy `json:"keyPolicy,omitempty,omitzero"`

	// limits bound what clients may use, for each pod.
	// +optional
	Limits ListenerLimits `json:"limits,omitempty,omitzero"`

	// shutdown controls how a pod terminates.
	// +optional
	Shutdown ListenerShutdown `json:"shutdown,omitempty,omitzero"`

	// sources control how clients that misbehave are blocked, without exemptCIDRs.
	// +optional
	Sources ListenerSources `json:"sources,omitempty,omitzero"`
}

// EffectiveAuthentication is how clients may log in.
type EffectiveAuthentication struct {
	// maxAuthTries is the number of failed attempts in a connection before it is closed.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxAuthTries *int32 `json:"maxAuthTries,omitempty"`

	// loginGraceSeconds is the time a client has to log in.
	// +optional
	// +kubebuilder:validation:Minimum=1
	LoginGraceSeconds *int32 `json:"loginGraceSeconds,omitempty"`

	// passwordPolicy is what users' passwords must satisfy.
	// +optional
	PasswordPolicy PasswordPolicy `json:"passwordPolicy,omitempty,omitzero"`
}
