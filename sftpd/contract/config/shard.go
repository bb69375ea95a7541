package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
)

// Shard is a file with one user per line.
type Shard struct {
	File
	// Data is the file's content, unless the reader already knows it (Known).
	Data  []byte
	Known bool
}

// Lines returns the non-empty lines, without line ends, with their numbers, starting at 1.
func (s Shard) Lines() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		n := 0
		for line := range bytes.Lines(s.Data) {
			n++
			if line = bytes.TrimSuffix(line, []byte{'\n'}); len(line) > 0 && !yield(n, line) {
				return
			}
		}
	}
}

// Set is a loaded configuration.
type Set struct {
	*Files
	// Users whose lines are valid. Names are unique.
	Users []User
	// Rejected are the users whose lines are invalid.
	Rejected []Rejection
}

// Rejection is a user whose line cannot be used; that name cannot log in.
type Rejection struct {
	// UID and Username as far as they could be read.
	UID      string
	Username string
	// Reason for the log.
	Reason string
}

// Reject returns the rejection of the user in a line of a shard.
func (s Shard) Reject(line int, u User, reason error) Rejection {
	return Rejection{UID: u.UID, Username: u.Username, Reason: fmt.Sprintf("%s line %d: %v", s.Name, line, reason)}
}

// ErrTwice is the reason for rejecting the second user with a login name.
var ErrTwice = errors.New("the login name is a duplicate")

// Load reads the configuration in a directory as Read does, and decodes its users. An invalid line affects only its own user,
// who is in Set.Rejected.
func Load(dir string) (*Set, error) {
	files, err := Read(dir, nil)
	if err != nil {
		return nil, err
	}
	set := &Set{Files: files}
	seen := map[string]bool{}
	for _, shard := range files.Shards {
		for n, line := range shard.Lines() {
			u, err := DecodeUser(line)
			if err == nil && !files.Listener.knowsVolumes(u) {
				err = errors.New("a mount names a volume that the listener does not have")
			}
			if err == nil && seen[u.Username] {
				err = ErrTwice
			}
			if err != nil {
				set.Rejected = append(set.Rejected, shard.Reject(n, u, err))
				continue
			}
			seen[u.Username] = true
			set.Users = append(set.Users, u)
		}
	}
	return set, nil
}

func (l Listener) knowsVolumes(u User) bool {
	for _, m := range u.Mounts {
		if _, ok := l.Volume(m.Volume); !ok {
			return false
		}
	}
	return true
}

// DecodeUser decodes a user's line strictly. In case of an error it returns only the UID and the login name, as far as they can
// be read.
func DecodeUser(line []byte) (User, error) {
	var u User
	err := decodeStrict(line, &u)
	if err == nil {
		err = u.Validate()
	}
	if err == nil {
		return u, nil
	}
	var head struct {
		UID      string `json:"uid"`
		Username string `json:"username"`
	}
	_ = json.Unmarshal(line, &head) // best effort: it names the user in the log
	return User{UID: head.UID, Username: head.Username}, err
}
