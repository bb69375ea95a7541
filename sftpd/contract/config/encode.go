package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Digest returns the SHA-256 of data in lower-case hexadecimal.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// HostKeyFile returns the name of the i-th host key's file.
func HostKeyFile(i int) string { return fmt.Sprintf("%s%d", hostKeyPrefix, i) }

// ShardFile returns the name of the i-th shard's file.
func ShardFile(i int) string { return fmt.Sprintf("%s%02d%s", shardPrefix, i, shardSuffix) }

// EncodeUser returns a user's line in a shard, with the newline. Equal users give
// equal bytes.
func EncodeUser(u User) ([]byte, error) {
	if err := u.Validate(); err != nil {
		return nil, err
	}
	return marshalLine(u)
}

// EncodeListener returns the content of listener.json. The references to host keys and shards are replaced by those of the
// given contents, which belong in the files HostKeyFile(i) and ShardFile(i). States and certificates come from l.HostKeys,
// which has either as many keys as there are contents, in the same order, or none; then all keys are active.
func EncodeListener(l Listener, hostKeys, shards [][]byte) ([]byte, error) {
	digests := make([]string, len(shards))
	for i, s := range shards {
		digests[i] = Digest(s)
	}
	return ComposeListener(l, hostKeys, digests)
}

// ComposeListener is EncodeListener with the digests of shards in place of their contents.
func ComposeListener(l Listener, hostKeys [][]byte, shards []string) ([]byte, error) {
	l.Version = Version
	if n := len(l.HostKeys); n != 0 && n != len(hostKeys) {
		return nil, fmt.Errorf("encode configuration: hostKeys has %d keys, but there are files for %d", n, len(hostKeys))
	}
	keys := make([]HostKey, len(hostKeys))
	copy(keys, l.HostKeys)
	for i, k := range hostKeys {
		keys[i].File = File{Name: HostKeyFile(i), SHA256: Digest(k)}
	}
	l.HostKeys = keys
	l.Shards = make([]File, len(shards))
	for i, digest := range shards {
		l.Shards[i] = File{Name: ShardFile(i), SHA256: digest}
	}
	if err := l.Validate(); err != nil {
		return nil, err
	}
	return marshalLine(l)
}

// marshalLine is json.Marshal without HTML escapes, which only make paths harder to
// read, and with a newline at the end.
func marshalLine(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode configuration: %w", err)
	}
	return bytes.Clone(b.Bytes()), nil // without room to grow, because the operator keeps each user's line
}
