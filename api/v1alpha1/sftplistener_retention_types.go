package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ListenerRetention controls which files are deleted, and when. A pod of the listener deletes them, with its own
// permissions, and records that in its audit log.
//
// +kubebuilder:validation:MinProperties=1
type ListenerRetention struct {
	// rules delete files some time after their upload. Begin with mode Report.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Rules []RetentionRule `json:"rules,omitempty"`

	// holds are directories in which nothing is deleted, whatever the rules say. They affect only retention, not what
	// users may do there.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Holds []RetentionHold `json:"holds,omitempty"`

	// intervalSeconds is the time between two runs of a rule. A new or changed rule runs at once. Default
	// 86400, a day.
	// +optional
	// +kubebuilder:validation:Minimum=3600
	// +kubebuilder:validation:Maximum=604800
	IntervalSeconds *int32 `json:"intervalSeconds,omitempty"`

	// staleUploadSeconds is how long the hidden file of an interrupted upload stays after its last change, so that the
	// client can resume. It is then deleted on every volume that users may write to, even without rules. Default
	// 604800, a week.
	// +optional
	// +kubebuilder:validation:Minimum=172800
	// +kubebuilder:validation:Maximum=31536000
	StaleUploadSeconds *int32 `json:"staleUploadSeconds,omitempty"`
}

// RetentionRule deletes files below directories. Files that are open, files of the server itself, links and what is
// mounted below the volume are never deleted.
//
// +kubebuilder:validation:XValidation:message="subPath or match must be set with scope Volume: a rule for all files of a volume is rarely intended; if it is, set match to ['*']",rule="!has(self.scope) || self.scope != 'Volume' || has(self.subPath) || has(self.match)"
type RetentionRule struct {
	// name of the rule, in the status, in metrics and in the audit log.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:message="must be lower-case letters, digits and '-', starting and ending with a letter or digit",rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')"
	// +kubebuilder:validation:XValidation:message="must not be stale-uploads: that is the built-in rule for interrupted uploads",rule="self != 'stale-uploads'"
	Name string `json:"name,omitempty"`

	// volume names one of the listener's volumes. Default: its home volume.
	// +optional
	Volume VolumeName `json:"volume,omitempty"`

	// scope is what subPath is relative to: User, the directory <namespace>/<name> of each user that can log in;
	// Namespace, the directory <namespace> of each namespace that has such users; Volume, the whole volume. Default User.
	// +optional
	// +kubebuilder:default=User
	Scope DirectoryScope `json:"scope,omitempty"`

	// subPath is a directory below scope, for example inbox. Default: the directory of the scope itself.
	// +optional
	SubPath SubPath `json:"subPath,omitempty"`

	// match has patterns of file names; a file is deleted only if one of them matches. '*' stands for any characters and '?'
	// for one, for example *.csv. Default: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	// +kubebuilder:validation:items:XValidation:message="must be a pattern of file names, without '/'",rule="!self.contains('/')"
	Match []string `json:"match,omitempty"`

	// deleteAfterSeconds is how long a file stays after its upload. According to the volume's clock, that is when
	// it was created or last changed, never a time that a client has set.
	// +required
	// +kubebuilder:validation:Minimum=3600
	// +kubebuilder:validation:Maximum=3153600000
	DeleteAfterSeconds int64 `json:"deleteAfterSeconds,omitempty"`

	// keepNewest is how many of the newest matching files stay, whatever their age: of each user with scope User, of
	// each namespace with scope Namespace. Default 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	KeepNewest *int32 `json:"keepNewest,omitempty"`

	// emptyDirectories Delete also deletes directories below that have been empty for deleteAfterSeconds, but none that
	// is a user's home directory or mount. Default Keep.
	// +optional
	// +kubebuilder:default=Keep
	EmptyDirectories EmptyDirectories `json:"emptyDirectories,omitempty"`

	// mode Report counts in status.retention what the rule would delete. Enforce deletes it, starting with the
	// second run. Default Report.
	// +optional
	// +kubebuilder:default=Report
	Mode RetentionMode `json:"mode,omitempty"`

	// maxFiles is how many files a run may delete: of each user with scope User, of each namespace with scope Namespace.
	// If it would delete more, nothing is deleted, and the listener has the condition RetentionHalted. Default 10000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5000000
	MaxFiles *int32 `json:"maxFiles,omitempty"`

	// maxPercent is the same limit as a share of the matching files, and also applies to all directories of the rule
	// together. It applies if there are more than 100 files. Default 50.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	MaxPercent *int32 `json:"maxPercent,omitempty"`
}

// RetentionHold is a directory in which nothing is deleted.
type RetentionHold struct {
	// name of the hold, for example the reference of a legal case.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:message="must be lower-case letters, digits and '-', starting and ending with a letter or digit",rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')"
	Name string `json:"name,omitempty"`

	// volume names one of the listener's volumes. Default: its home volume.
	// +optional
	Volume VolumeName `json:"volume,omitempty"`

	// path of the directory on the volume, for example <namespace>/<user>/cases/17. Default: the whole volume.
	// If the directory does not exist, for example because someone renamed it, the hold covers its whole
	// top-level directory.
	// +optional
	Path SubPath `json:"path,omitempty"`
}

// RetentionMode controls whether a rule deletes files or only reports them.
//
// +kubebuilder:validation:Enum=Report;Enforce
type RetentionMode string

// The modes.
const (
	RetentionReport  RetentionMode = "Report"
	RetentionEnforce RetentionMode = "Enforce"
)

// EmptyDirectories is what happens to empty directories.
//
// +kubebuilder:validation:Enum=Keep;Delete
type EmptyDirectories string

// What happens to empty directories.
const (
	EmptyDirectoriesKeep   EmptyDirectories = "Keep"
	EmptyDirectoriesDelete EmptyDirectories = "Delete"
)

// RetentionRun is the last run of a rule on a volume.
type RetentionRun struct {
	// rule is the name of one of spec.retention.rules, or stale-uploads.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Rule string `json:"rule,omitempty"`

	// volume is where it ran.
	// +required
	Volume VolumeName `json:"volume,omitempty"`

	// lastRunTime is when it ran.
	// +optional
	LastRunTime *metav1.Time `json:"lastRunTime,omitempty"`

	// files is the number of files that match the rule.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Files *int64 `json:"files,omitempty"`

	// dueFiles is the number of files that the run deleted, or would have deleted.
	// +optional
	// +kubebuilder:validation:Minimum=0
	DueFiles *int64 `json:"dueFiles,omitempty"`

	// dueBytes is the total size of the due files, in bytes.
	// +optional
	// +kubebuilder:validation:Minimum=0
	DueBytes *int64 `json:"dueBytes,omitempty"`

	// deletedFiles is the number of files that were deleted.
	// +optional
	// +kubebuilder:validation:Minimum=0
	DeletedFiles *int64 `json:"deletedFiles,omitempty"`

	// message describes anything unusual about the run: why nothing was deleted, or what was
	// skipped.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
