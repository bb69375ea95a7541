package v1alpha1

// ListenerLimits bound what clients may use. Each pod counts separately.
//
// +kubebuilder:validation:XValidation:message="maxConnectionsPerUser must not be above maxConnections (500 unless set)",rule="!has(self.maxConnectionsPerUser) || self.maxConnectionsPerUser <= (has(self.maxConnections) ? self.maxConnections : 500)"
type ListenerLimits struct {
	// maxConnections is how many connections all users together may have on each pod.
	// Default 500.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20000
	MaxConnections *int32 `json:"maxConnections,omitempty"`

	// maxConnectionsPerUser is how many connections one user may have on each pod. Default 10.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxConnectionsPerUser *int32 `json:"maxConnectionsPerUser,omitempty"`

	// idleTimeoutSeconds is the number of seconds without a request after which a connection
	// is closed. Default 900.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=86400
	IdleTimeoutSeconds *int32 `json:"idleTimeoutSeconds,omitempty"`

	// startups limit the unauthenticated connections.
	// +optional
	Startups ListenerStartups `json:"startups,omitempty,omitzero"`
}

// ListenerStartups limit the unauthenticated connections, like OpenSSH's MaxStartups.
//
// +kubebuilder:validation:XValidation:message="full must not be below begin (50 unless set)",rule="(has(self.full) ? self.full : 200) >= (has(self.begin) ? self.begin : 50)"
type ListenerStartups struct {
	// begin is the number of unauthenticated connections at which new ones start to be refused at random. Default 50.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20000
	Begin *int32 `json:"begin,omitempty"`

	// dropPercent is the percentage of new connections that are refused at begin. It rises to
	// 100 at full. Default 30.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	DropPercent *int32 `json:"dropPercent,omitempty"`

	// full is the number of unauthenticated connections at which every new one is refused. Default 200.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20000
	Full *int32 `json:"full,omitempty"`

	// perSource is the number of unauthenticated connections that one source may have; see sources. 0 means
	// no limit. Default 20, but 0 where the pods do not see clients' addresses; see sources.penalties.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=20000
	PerSource *int32 `json:"perSource,omitempty"`
}

// ListenerUploads controls how uploaded files are written.
//
// +kubebuilder:validation:XValidation:rule="!has(self.receipts) || self.checksum == 'SHA256' && self.publish == 'OnClose'",message="receipts need checksum SHA256 and publish OnClose"
type ListenerUploads struct {
	// publish controls when a file appears under its name. Immediate: from its first byte, as
	// with OpenSSH. OnClose: a new file is written under a hidden name, and renamed when the
	// client closes it, so that no reader sees an incomplete file. Default Immediate.
	// +optional
	// +kubebuilder:default=Immediate
	Publish UploadPublish `json:"publish,omitempty"`

	// incomplete is what happens to a file whose connection broke before the client
	// closed it. Keep leaves what was received, so that the client can resume; Delete
	// removes it. A file that existed before the upload is never deleted. Default Keep.
	// +optional
	// +kubebuilder:default=Keep
	Incomplete IncompleteUploads `json:"incomplete,omitempty"`

	// sync controls whether closing a written file is confirmed to the client only when the file is
	// on disk (OnClose), or at once, leaving that to the volume (Never). Default Never.
	// +optional
	// +kubebuilder:default=Never
	Sync UploadSync `json:"sync,omitempty"`

	// checksum controls whether the SHA-256 of each uploaded file is computed, for its line in the audit
	// log and its event. There is none where the content is not known for certain. Use it with
	// publish OnClose: otherwise files have to be read again when they are closed. Default None.
	// +optional
	// +kubebuilder:default=None
	Checksum UploadChecksum `json:"checksum,omitempty"`

	// receipts are signed receipts for uploads: each upload whose close was answered with success, and
	// whose checksum is known, has one that the user who uploaded the file can fetch and verify. Receipts
	// need checksum SHA256 and publish OnClose.
	// The key is in the Secret <listener>-sftp-receipt-key, which the operator creates.
	// +optional
	Receipts *UploadReceipts `json:"receipts,omitempty"`
}

// UploadPublish controls when a file appears under its name.
//
// +kubebuilder:validation:Enum=Immediate;OnClose
type UploadPublish string

// When files appear.
const (
	PublishImmediate UploadPublish = "Immediate"
	PublishOnClose   UploadPublish = "OnClose"
)

// IncompleteUploads is what happens to files that were not closed.
//
// +kubebuilder:validation:Enum=Keep;Delete
type IncompleteUploads string

// What happens to files that were not closed.
const (
	IncompleteKeep   IncompleteUploads = "Keep"
	IncompleteDelete IncompleteUploads = "Delete"
)

// UploadChecksum selects the checksum that is computed of uploaded files.
//
// +kubebuilder:validation:Enum=None;SHA256
type UploadChecksum string

// Checksums of uploaded files.
const (
	ChecksumNone   UploadChecksum = "None"
	ChecksumSHA256 UploadChecksum = "SHA256"
)

// UploadSync controls when a written file must be on disk.
//
// +kubebuilder:validation:Enum=Never;OnClose
type UploadSync string

// When written files must be on disk.
const (
	SyncNever   UploadSync = "Never"
	SyncOnClose UploadSync = "OnClose"
)
