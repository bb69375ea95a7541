package v1alpha1

// Directory is a directory on one of the listener's volumes.
//
// +kubebuilder:validation:XValidation:message="listing may be set only with access WriteOnly or CreateOnly: the other kinds of access always allow listing",rule="!has(self.listing) || (has(self.access) && self.access in ['WriteOnly', 'CreateOnly'])"
type Directory struct {
	// volume names one of the listener's volumes. Default: its home volume.
	// +optional
	Volume VolumeName `json:"volume,omitempty"`

	// scope is what subPath is relative to: User, the directory <namespace>/<name> of this
	// SFTPUser; Namespace, the directory <namespace>, shared by the SFTPUsers of a
	// namespace; Volume, the whole volume. Users in namespaces other than the listener's
	// need a rule in its allowedUsers for that. Default User.
	// +optional
	// +kubebuilder:default=User
	Scope DirectoryScope `json:"scope,omitempty"`

	// subPath is a directory below scope. It is created if it does not exist. Default: the
	// directory of the scope itself.
	// +optional
	SubPath SubPath `json:"subPath,omitempty"`

	// access is what the user may do: ReadWrite; ReadOnly; WriteOnly (files can be uploaded and replaced,
	// but not read or removed, and only listed if listing allows it); or CreateOnly (like WriteOnly, but
	// nothing that exists can be changed or replaced: an upload needs a new name. The connection that
	// created a file may rename it to an unused name, and set its times and permissions). Default ReadWrite.
	// +optional
	// +kubebuilder:default=ReadWrite
	Access Access `json:"access,omitempty"`

	// listing is what is shown of a WriteOnly or CreateOnly directory. Names: the names, sizes
	// and times of its entries, for clients that list before or after an upload. Denied:
	// nothing. Default Denied.
	// +optional
	Listing Listing `json:"listing,omitempty"`
}

// Mount is a directory in the user's tree, in addition to the home directory.
type Mount struct {
	// path is where the user sees the directory, for example /inbox.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:message="path must not contain control characters",rule="!self.matches('[[:cntrl:]]')"
	// +kubebuilder:validation:XValidation:message="path must be absolute, must not be \"/\" (set homeDirectory instead), and must not have empty, '.' or '..' parts or a trailing '/'",rule="self.startsWith('/') && self.substring(1).split('/').all(p, p != '' && p != '.' && p != '..')"
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
	// AccessCreateOnly is AccessWriteOnly, except that nothing that exists can be
	// changed.
	AccessCreateOnly Access = "CreateOnly"
)

// Listing is what is shown of a WriteOnly or CreateOnly directory.
//
// +kubebuilder:validation:Enum=Denied;Names
type Listing string

// What is shown of a WriteOnly or CreateOnly directory.
const (
	ListingDenied Listing = "Denied"
	ListingNames  Listing = "Names"
)
