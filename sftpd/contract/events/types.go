package events

// Type is a CloudEvents type. Its last part is the version of the event's data: adding a field keeps it.
type Type string

// The types.
const (
	// FilePublished: an upload is complete and has its final name.
	FilePublished Type = "io.sftp-operator.file.published.v1"
	// FileUploadFailed: an upload was not completed, or could not be published.
	FileUploadFailed Type = "io.sftp-operator.file.upload.failed.v1"
	// FileDownloaded: a client opened a file, read from it and closed it. SFTP does not say whether it read all of it.
	FileDownloaded Type = "io.sftp-operator.file.downloaded.v1"
	FileDeleted    Type = "io.sftp-operator.file.deleted.v1"
	FileRenamed    Type = "io.sftp-operator.file.renamed.v1"
	// FileExpired: retention deletes a file, or an empty directory. No client is involved.
	FileExpired      Type = "io.sftp-operator.file.expired.v1"
	DirectoryCreated Type = "io.sftp-operator.directory.created.v1"
	DirectoryDeleted Type = "io.sftp-operator.directory.deleted.v1"
	LoginSucceeded   Type = "io.sftp-operator.login.succeeded.v1"
	LoginRefused     Type = "io.sftp-operator.login.refused.v1"
	// KeyExpiring: a user's key expires soon, and KeyExpired: it has expired. No client is involved.
	KeyExpiring Type = "io.sftp-operator.key.expiring.v1"
	KeyExpired  Type = "io.sftp-operator.key.expired.v1"
)

// types are the types that a sink can ask for, in the order of the documentation. byDefault is set for those that a sink
// gets if it names none.
var types = []struct {
	name      Type
	byDefault bool
}{
	{FilePublished, true},
	{FileUploadFailed, true},
	{FileDownloaded, true},
	{FileDeleted, true},
	{FileRenamed, true},
	{FileExpired, true},
	{DirectoryCreated, true},
	{DirectoryDeleted, true},
	{LoginSucceeded, false},
	{LoginRefused, false},
	{KeyExpiring, false},
	{KeyExpired, false},
}

// Types returns all types.
func Types() []Type {
	out := make([]Type, 0, len(types))
	for _, t := range types {
		out = append(out, t.name)
	}
	return out
}

// DefaultTypes returns the types that a sink gets if it names none: those of files and directories. Those of logins and keys
// are delivered only to sinks that ask for them.
func DefaultTypes() []Type {
	var out []Type
	for _, t := range types {
		if t.byDefault {
			out = append(out, t.name)
		}
	}
	return out
}

// Known reports whether t is one of [Types].
func (t Type) Known() bool {
	for _, k := range types {
		if k.name == t {
			return true
		}
	}
	return false
}
