package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxFileSize bounds what is read of one file. A Secret holds at most 1 MiB.
const maxFileSize = 4 << 20

// dataLink is the symlink through which the kubelet switches a volume's files all
// at once.
const dataLink = "..data"

// ErrInconsistent is in the error of Load when files do not belong together, as while
// some of the Secrets behind a volume are newer than others. A later try may succeed.
var ErrInconsistent = errors.New("files do not belong together yet")

// Set is a loaded configuration.
type Set struct {
	Listener Listener
	// HostKeys are the private keys' file contents, in the order of Listener.HostKeys.
	HostKeys [][]byte
	// Users whose lines were understood. Names are unique.
	Users []User
	// Rejected are the users whose lines were not.
	Rejected []Rejection
	// Digest of the whole.
	Digest string
}

// Rejection is a user whose line cannot be used; nobody can log in by that name.
type Rejection struct {
	// UID and Username as far as they could be read.
	UID      string
	Username string
	// Reason for the log.
	Reason string
}

// Load reads and checks the configuration in a directory.
//
// It fails if listener.json is missing, invalid or of a newer version, if a file that it
// names is missing or does not match its digest (ErrInconsistent), or if it has no host
// key. A user's line that is not understood fails nothing else: it is in Set.Rejected.
func Load(dir string) (*Set, error) {
	base, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	dir, err = resolve(base)
	if err != nil {
		return nil, err
	}
	raw, err := readFile(dir, ListenerFile)
	if err != nil {
		return nil, err
	}
	set := &Set{Digest: Digest(raw)}
	if set.Listener, err = decodeListener(raw); err != nil {
		return nil, fmt.Errorf("%s: %w", ListenerFile, err)
	}
	for i := range set.Listener.Volumes {
		v := &set.Listener.Volumes[i]
		if !filepath.IsAbs(v.Path) {
			// Not dir: a volume stays where it is when a new generation of files comes.
			v.Path = filepath.Join(base, v.Path)
		}
	}
	for _, k := range set.Listener.HostKeys {
		data, err := readReferenced(dir, k.File)
		if err != nil {
			return nil, err
		}
		set.HostKeys = append(set.HostKeys, data)
	}
	seen := map[string]int{}
	for _, f := range set.Listener.Shards {
		data, err := readReferenced(dir, f)
		if err != nil {
			return nil, err
		}
		set.addShard(f.Name, data, seen)
	}
	return set, nil
}

// resolve follows the kubelet's data link once, so that all files are read from one
// generation even when the volume is switched meanwhile.
func resolve(dir string) (string, error) {
	data, err := filepath.EvalSymlinks(filepath.Join(dir, dataLink))
	if errors.Is(err, os.ErrNotExist) {
		return dir, nil
	}
	if err != nil {
		return "", fmt.Errorf("configuration directory: %w", err)
	}
	return data, nil
}

func readFile(dir, name string) ([]byte, error) {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("configuration: %s is larger than %d bytes", name, maxFileSize)
	}
	return data, nil
}

func readReferenced(dir string, f File) ([]byte, error) {
	data, err := readFile(dir, f.Name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s names %s, which is missing", ErrInconsistent, ListenerFile, f.Name)
	}
	if err != nil {
		return nil, err
	}
	if got := Digest(data); got != f.SHA256 {
		return nil, fmt.Errorf("%w: %s has the digest %s, but %s says %s", ErrInconsistent, f.Name, got, ListenerFile, f.SHA256)
	}
	return data, nil
}

func decodeListener(raw []byte) (Listener, error) {
	// The version comes first: a newer format may have any other field.
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return Listener{}, fmt.Errorf("not valid JSON: %w", err)
	}
	if head.Version != Version {
		return Listener{}, fmt.Errorf("format version %d is not supported, this daemon reads version %d", head.Version, Version)
	}
	var l Listener
	if err := decodeStrict(raw, &l); err != nil {
		return Listener{}, err
	}
	if err := l.Validate(); err != nil {
		return Listener{}, err
	}
	return l, nil
}

func (s *Set) addShard(name string, data []byte, seen map[string]int) {
	for n := 1; len(data) > 0; n++ {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		if len(line) == 0 {
			continue
		}
		u, err := DecodeUser(line)
		if err == nil && !s.knowsVolumes(u) {
			err = errors.New("a mount names a volume that the listener does not have")
		}
		if err == nil {
			if _, twice := seen[u.Username]; twice {
				err = errors.New("the login name stands twice")
			}
		}
		if err != nil {
			s.reject(u, fmt.Sprintf("%s line %d: %v", name, n, err))
			continue
		}
		seen[u.Username] = len(s.Users)
		s.Users = append(s.Users, u)
	}
}

func (s *Set) reject(u User, reason string) {
	s.Rejected = append(s.Rejected, Rejection{UID: u.UID, Username: u.Username, Reason: reason})
}

func (s *Set) knowsVolumes(u User) bool {
	for _, m := range u.Mounts {
		if _, ok := s.Listener.Volume(m.Volume); !ok {
			return false
		}
	}
	return true
}

// DecodeUser decodes a user's line strictly. With an error it returns the UID and the
// login name alone, as far as they can be read.
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

func decodeStrict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data after the end of the JSON value")
	}
	return nil
}
