package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// maxFileSize bounds what is read of one file. A Secret holds at most 1 MiB.
const maxFileSize = 4 << 20

// dataLink is the symlink through which the kubelet switches a volume's files all
// at once.
const dataLink = "..data"

// ErrInconsistent is in the error of Load when files do not match each other, for example while some of the Secrets behind a
// volume are newer than others. A later try may succeed.
var ErrInconsistent = errors.New("files do not match each other yet")

// Files is a configuration whose files match each other. Its users are not decoded yet.
type Files struct {
	Listener Listener
	// HostKeys are the private keys' file contents, in the order of Listener.HostKeys.
	HostKeys [][]byte
	// EventsKey is the key of Listener.Events, nil if no events are recorded.
	EventsKey []byte
	// Receipts signs receipts, nil if none are issued.
	Receipts *receipt.Signer
	// Shards in the order of Listener.Shards.
	Shards []Shard
	// Digest of the whole.
	Digest string
}

// Read reads the configuration in a directory and checks everything except the users.
//
// It fails if listener.json is missing, invalid or of a newer version, if a file that it names is missing or does not match its
// digest (ErrInconsistent), or if it has no host key. Shards whose digest is known under the listener's settings are not read,
// because the digest identifies the content. A nil known knows none.
func Read(dir string, known func(l *Listener, sha256 string) bool) (*Files, error) {
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
	files := &Files{Digest: Digest(raw)}
	if files.Listener, err = decodeListener(raw); err != nil {
		return nil, fmt.Errorf("%s: %w", ListenerFile, err)
	}
	for i := range files.Listener.Volumes {
		v := &files.Listener.Volumes[i]
		if !filepath.IsAbs(v.Path) {
			// Not dir, because a volume stays where it is when a new generation of files arrives.
			v.Path = filepath.Join(base, v.Path)
		}
	}
	for _, k := range files.Listener.HostKeys {
		data, err := readReferenced(dir, k.File)
		if err != nil {
			return nil, err
		}
		files.HostKeys = append(files.HostKeys, data)
	}
	if files.Listener.Events.On() {
		data, err := readReferenced(dir, files.Listener.Events.Key)
		if err != nil {
			return nil, err
		}
		if files.EventsKey, err = events.ParseKey(data); err != nil {
			return nil, fmt.Errorf("%s: %w", files.Listener.Events.Key.Name, err)
		}
	}
	if files.Receipts, err = readReceiptKey(dir, files.Listener.Receipts); err != nil {
		return nil, err
	}
	for _, f := range files.Listener.Shards {
		shard := Shard{File: f, Known: known != nil && known(&files.Listener, f.SHA256)}
		if !shard.Known {
			if shard.Data, err = readReferenced(dir, f); err != nil {
				return nil, err
			}
		}
		files.Shards = append(files.Shards, shard)
	}
	return files, nil
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
