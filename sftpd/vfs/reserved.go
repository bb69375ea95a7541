package vfs

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// stagingPrefix begins the names of files that are not published. Users can neither see nor
// reach them.
const stagingPrefix = ".sftpd-upload."

// eventsDirectory is where package outbox keeps events, at the root of a volume.
const eventsDirectory = ".sftpd-events"

// codesDirectory is where package auth keeps the used codes of all pods, at the root of a volume. A user who could remove them
// could use a code twice.
const codesDirectory = ".sftpd-codes"

// own reports whether a name is one that this package or package outbox uses.
func own(name string) bool {
	return strings.HasPrefix(name, stagingPrefix) || name == eventsDirectory
}

// reserved reports whether a name is one that the server uses, or could be another form of one: on some volumes (SMB, and ext4,
// f2fs and XFS if they were created that way), a name in a different case means the same file. A name that is free on one volume
// would lead to others' uploads and events on another, so it is reserved on all.
func reserved[S string | []byte](name S) bool {
	if begins, _ := formOf(name, stagingPrefix); begins {
		return true
	}
	_, events := formOf(name, eventsDirectory)
	_, codes := formOf(name, codesDirectory)
	return events || codes
}

// formOf reports whether a name begins with, or is, a form of another name, which is in lower case and without the letter k.
func formOf[S string | []byte](name S, of string) (begins, is bool) {
	for i := 0; i < len(name); {
		r, size := rune(name[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(string(name[i:min(i+utf8.UTFMax, len(name))]))
		}
		i += size
		switch {
		case r >= utf8.RuneSelf && ignored(r):
		case of == "":
			return true, aside(string(name[i-size:]))
		case lower(r) != rune(of[0]):
			return false, false
		default:
			of = of[1:]
		}
	}
	return of == "", of == ""
}

// lower returns the lower case of an ASCII letter. The long s is the only other character that folds to a letter of our
// names.
func lower(r rune) rune {
	switch {
	case 'A' <= r && r <= 'Z':
		return r + 'a' - 'A'
	case r == 'ſ':
		return 's'
	}
	return r
}

// ignored reports whether file systems may ignore a character when they compare names without regard to case: it is invisible
// (Default_Ignorable_Code_Point of Unicode, as in the kernel's fs/unicode).
func ignored(r rune) bool {
	return unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Cf, unicode.Variation_Selector)
}

// aside reports whether Windows ignores this end of a name: dots and spaces, and what follows a colon, which names a stream of
// the file.
func aside(end string) bool {
	end = strings.TrimLeft(end, ". ")
	return end == "" || end[0] == ':'
}
