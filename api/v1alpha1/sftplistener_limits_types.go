package v1alpha1

// ListenerLimits bound what clients may use, for each pod.
//
// +kubebuilder:validation:XValidation:message="maxConnectionsPerUser must not be above maxConnections (500 unless set)",rule="!has(self.maxConnectionsPerUser) || self.maxConnectionsPerUser <= (has(self.maxConnections) ? self.maxConnections : 500)"
type ListenerLimits struct {
	// maxConnections is the number of connections of all users. Default 500.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20000
	MaxConnections *int32 `json:"maxConnections,omitempty"`

	// maxConnectionsPerUser is the number of connections of one user. Default 10.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxConnectionsPerUser *int32 `json:"maxConnectionsPerUser,omitempty"`

	// idleTimeoutSeconds closes connections without any request. Default 900.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=86400
	IdleTimeoutSeconds *int32 `json:"idleTimeoutSeconds,omitempty"`

	// startups bound the connections that are not logged in yet.
	// +optional
	Startups ListenerStartups `json:"startups,omitempty,omitzero"`
}

// ListenerStartups bound the connections that are not logged in yet, as OpenSSH's
// MaxStartups.
//
// +kubebuilder:validation:XValidation:message="full must not be below begin (50 unless set)",rule="(has(self.full) ? self.full : 200) >= (has(self.begin) ? self.begin : 50)"
type ListenerStartups struct {
	// begin is the number of such connections from which on new ones are refused at
	// random. Default 50.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20000
	Begin *int32 `json:"begin,omitempty"`

	// dropPercent is the share of new connections that is refused at begin. It rises to
	// all of them at full. Default 30.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	DropPercent *int32 `json:"dropPercent,omitempty"`

	// full is the number of such connections at which every new one is refused.
	// Default 200.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20000
	Full *int32 `json:"full,omitempty"`

	// perSource is the number of such connections that one source may have, see sources.
	// 0 sets no bound. Default 20, but 0 where the pods do not see clients' addresses, see
	// sources.penalties.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=20000
	PerSource *int32 `json:"perSource,omitempty"`
}

// ListenerUploads are what becomes of files that clients write.
type ListenerUploads struct {
	// publish Immediate shows a file under its name from the first byte on, as OpenSSH
	// does. OnClose writes a new file under a hidden name and gives it its own when the
	// client closes it, so that no reader sees half of a file.
	// +optional
	// +kubebuilder:default=Immediate
	Publish UploadPublish `json:"publish,omitempty"`

	// incomplete is what happens to a file whose connection broke before the client
	// closed it. Keep leaves what has arrived, so that the client can resume; Delete
	// removes it. A file that was there before the upload is never deleted.
	// +optional
	// +kubebuilder:default=Keep
	Incomplete IncompleteUploads `json:"incomplete,omitempty"`

	// sync OnClose answers the close of a written file when it is on the disk. Never
	// leaves that to the volume.
	// +optional
	// +kubebuilder:default=Never
	Sync UploadSync `json:"sync,omitempty"`
}

// UploadPublish says when a file appears under its name.
//
// +kubebuilder:validation:Enum=Immediate;OnClose
type UploadPublish string

// When files appear.
const (
	PublishImmediate UploadPublish = "Immediate"
	PublishOnClose   UploadPublish = "OnClose"
)

// IncompleteUploads says what happens to files that were not closed.
//
// +kubebuilder:validation:Enum=Keep;Delete
type IncompleteUploads string

// What happens to files that were not closed.
const (
	IncompleteKeep   IncompleteUploads = "Keep"
	IncompleteDelete IncompleteUploads = "Delete"
)

// UploadSync says when a written file must be on the disk.
//
// +kubebuilder:validation:Enum=Never;OnClose
type UploadSync string

// When written files must be on the disk.
const (
	SyncNever   UploadSync = "Never"
	SyncOnClose UploadSync = "OnClose"
)
