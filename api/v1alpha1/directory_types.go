package v1alpha1

// Directory is a directory on one of the listener's volumes.
//
// +kubebuilder:validation:XValidation:message="listing may be set only with access WriteOnly or CreateOnly: the other kinds of access list anyway",rule="!has(self.listing) || (has(self.access) && self.access in ['WriteOnly', 'CreateOnly'])"
type Directory struct {
	// volume names one of the listener's volumes. Default: its home volume.
	// +optional
	Volume VolumeName `json:"volume,omitempty"`

	// scope is what subPath is relative to: User, the directory <namespace>/<name> of
	// this SFTPUser; Namespace, the directory <namespace>, shared by the SFTPUsers of
	// a namespace; Volume, the whole volume, which only SFTPUsers in the listener's own
	// namespace may ask for.
	// +optional
	// +kubebuilder:default=User
	Scope DirectoryScope `json:"scope,omitempty"`

	// subPath is a directory below scope; it is made when missing.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:message="subPath must not have control characters",rule="!self.matches('[[:cntrl:]]')"
	// +kubebuilder:validation:XValidation:message="subPath must be a relative path without empty, '.' or '..' parts, for example in/2026",rule="!self.startsWith('/') && self.split('/').all(p, p != '' && p != '.' && p != '..')"
	SubPath string `json:"subPath,omitempty"`

	// access is ReadWrite; ReadOnly; WriteOnly (files can be put and replaced, but not
	// read or removed, and not listed unless listing says so); or CreateOnly (like
	// WriteOnly, but nothing that exists can be changed or replaced: an upload needs a new
	// name. The connection that made a file may rename it to a name that is free, and set
	// its times and permissions).
	// +optional
	// +kubebuilder:default=ReadWrite
	Access Access `json:"access,omitempty"`

	// listing Names shows the names, sizes and times of what is in a WriteOnly or
	// CreateOnly directory,
	// for clients that look before or after they put. Denied shows nothing.
	// +optional
	Listing Listing `json:"listing,omitempty"`
}

// Mount is a directory in the user's tree, beside the home directory.
type Mount struct {
	// path is where the user sees the directory, for example /inbox.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:message="path must not have control characters",rule="!self.matches('[[:cntrl:]]')"
	// +kubebuilder:validation:XValidation:message="path must be absolute, must not be \"/\" (set homeDirectory instead), and must not have empty, '.' or '..' parts or a '/' at its end",rule="self.startsWith('/') && self.substring(1).split('/').all(p, p != '' && p != '.' && p != '..')"
	Path string `json:"path,omitempty"`

	Directory `json:",inline"`
}

// DirectoryScope is what the path of a directory is relative to.
//
// +kubebuilder:validation:Enum=User;Namespace;Volume
type DirectoryScope string

// The scopes of directories.
const (
	ScopeUser      DirectoryScope = "User"
	ScopeNamespace DirectoryScope = "Namespace"
	ScopeVolume    DirectoryScope = "Volume"
)

// Access is what a user may do in a directory.
//
// +kubebuilder:validation:Enum=ReadWrite;ReadOnly;WriteOnly;CreateOnly
type Access string

// The kinds of access.
const (
	AccessReadWrite Access = "ReadWrite"
	AccessReadOnly  Access = "ReadOnly"
	AccessWriteOnly Access = "WriteOnly"
	// AccessCreateOnly is AccessWriteOnly in which nothing that exists changes.
	AccessCreateOnly Access = "CreateOnly"
)

// Listing says what of a WriteOnly or CreateOnly directory is shown.
//
// +kubebuilder:validation:Enum=Denied;Names
type Listing string

// What of a WriteOnly or CreateOnly directory is shown.
const (
	ListingDenied Listing = "Denied"
	ListingNames  Listing = "Names"
)
