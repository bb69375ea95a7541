package sftp

import "github.com/sftp-operator/sftp-operator/sftpd/vfs"

// request is the current packet.
type request struct {
	fields
	typ  byte
	id   uint32
	kind *kind // nil if unknown

	// For the report: what the request is about, as far as it has been parsed.
	path, target string
	changes      bool // an OPEN for writing
	hashed       uint64
	set          vfs.Changes
}

// audit is when a request becomes an [Operation].
type audit uint8

const (
	never audit = iota
	ifDenied
	always
)

// kind is one request or extension of the protocol.
type kind struct {
	name      string // in OpenSSH's sftp-server -Q requests
	typ       byte
	extension string // its name on the wire, if typ is typeExtended
	version   string // of the extension, as advertised
	audit     audit
	run       func(*Session, *request) error
}

func (k *kind) String() string {
	if k == nil {
		return "unknown"
	}
	return k.name
}

// kinds lists everything that the server supports. It is set in init because a handler that
// lists the extensions refers to it.
var kinds []kind

func init() {
	kinds = []kind{
		{"open", typeOpen, "", "", ifDenied, (*Session).open},
		{"close", typeClose, "", "", never, (*Session).closeHandle},
		{"read", typeRead, "", "", ifDenied, (*Session).read},
		{"write", typeWrite, "", "", ifDenied, (*Session).write},
		{"lstat", typeLstat, "", "", ifDenied, (*Session).lstat},
		{"fstat", typeFstat, "", "", ifDenied, (*Session).fstat},
		{"setstat", typeSetstat, "", "", always, (*Session).setstat},
		{"fsetstat", typeFsetstat, "", "", always, (*Session).fsetstat},
		{"opendir", typeOpendir, "", "", ifDenied, (*Session).opendir},
		{"readdir", typeReaddir, "", "", ifDenied, (*Session).readdir},
		{"remove", typeRemove, "", "", always, (*Session).remove},
		{"mkdir", typeMkdir, "", "", always, (*Session).mkdir},
		{"rmdir", typeRmdir, "", "", always, (*Session).rmdir},
		{"realpath", typeRealpath, "", "", ifDenied, (*Session).realpath},
		{"stat", typeStat, "", "", ifDenied, (*Session).stat},
		{"rename", typeRename, "", "", always, (*Session).rename},
		{"readlink", typeReadlink, "", "", ifDenied, (*Session).readlink},
		{"symlink", typeSymlink, "", "", always, (*Session).symlink},
		{"posix-rename", typeExtended, "posix-rename@openssh.com", "1", always, (*Session).posixRename},
		{"statvfs", typeExtended, "statvfs@openssh.com", "2", ifDenied, (*Session).statvfs},
		{"fstatvfs", typeExtended, "fstatvfs@openssh.com", "2", ifDenied, (*Session).fstatvfs},
		{"hardlink", typeExtended, "hardlink@openssh.com", "1", always, (*Session).hardlink},
		{"fsync", typeExtended, "fsync@openssh.com", "1", ifDenied, (*Session).fsync},
		{"lsetstat", typeExtended, "lsetstat@openssh.com", "1", always, (*Session).lsetstat},
		{"limits", typeExtended, "limits@openssh.com", "1", never, (*Session).limits},
		{"expand-path", typeExtended, "expand-path@openssh.com", "1", ifDenied, (*Session).expandPath},
		{"copy-data", typeExtended, "copy-data", "1", always, (*Session).copyData},
		{"home-directory", typeExtended, "home-directory", "1", never, (*Session).homeDirectory},
		{"users-groups-by-id", typeExtended, "users-groups-by-id@openssh.com", "1", never, (*Session).usersGroupsByID},
		{"check-file", typeExtended, "check-file", "1", always, (*Session).checkFileHandle},
		{"check-file-handle", typeExtended, "check-file-handle", "1", always, (*Session).checkFileHandle},
		{"check-file-name", typeExtended, "check-file-name", "1", always, (*Session).checkFileName},
	}
	for i := range kinds {
		if k := &kinds[i]; k.typ != typeExtended {
			byType[k.typ] = k
		}
	}
}

var byType [256]*kind

// lookup finds the kind of a request, and consumes an extension's name. It returns nil for
// an unknown one.
func lookup(r *request) *kind {
	if r.typ != typeExtended {
		return byType[r.typ]
	}
	name := r.bytes()
	for i := range kinds {
		if k := &kinds[i]; k.typ == typeExtended && k.extension == string(name) {
			return k
		}
	}
	return nil
}

// Requests returns the names of all kinds of request, as [Options.Permit] gets
// them: those of OpenSSH's sftp-server -Q requests.
func Requests() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// version answers INIT (filexfer-02, section 4): always version 3, whatever the
// client offers, and the extensions that are permitted.
func (s *Session) version(*request) {
	at := s.out.begin(typeVersion, protocolVersion) // the version is in the place of an ID
	for i := range kinds {
		if k := &kinds[i]; k.typ == typeExtended && !s.denied[k] {
			s.out.string(k.extension)
			s.out.string(k.version)
		}
	}
	s.out.end(at)
}
