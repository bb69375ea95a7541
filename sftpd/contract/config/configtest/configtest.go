// Package configtest writes configuration directories for tests, as the operator and the
// kubelet do.
package configtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

// Dir is a configuration directory in the making. Change its fields and Write it.
type Dir struct {
	Path     string
	Listener config.Listener
	HostKeys [][]byte
	Users    []config.User
	// Plain writes files without the kubelet's symlinks.
	Plain bool
	// Shards that users are distributed over, one if it is 0.
	Shards int

	generation int
}

// New returns a directory with an Ed25519 host key, one volume "data" and no user.
// Nothing is written yet.
func New(t testing.TB) *Dir {
	t.Helper()
	_, hostKey := Key(t)
	return &Dir{
		Path:     t.TempDir(),
		HostKeys: [][]byte{hostKey},
		Listener: config.Listener{
			Namespace: "files", Name: "public", CryptoPolicy: "Modern2026",
			Authentication: config.Authentication{
				Methods:  []string{config.MethodPublicKey, config.MethodPassword},
				MaxTries: 6, LoginGraceSeconds: 30,
			},
			Limits:   config.Limits{MaxConnections: 100, MaxConnectionsPerUser: 10, IdleTimeoutSeconds: 600},
			Shutdown: config.Shutdown{DrainTimeoutSeconds: 5},
			Volumes:  []config.Volume{{Name: "data", Path: t.TempDir()}},
		},
	}
}

// Volume is the host directory of the volume "data".
func (d *Dir) Volume() string { return d.Listener.Volumes[0].Path }

// Home is the host directory of a user made by AddUser.
func (d *Dir) Home(username string) string { return filepath.Join(d.Volume(), username) }

// AddUser adds a user with a home and the given credentials, and returns it to be
// changed before Write. Without Methods each credential logs in by itself. The pointer is good until the next AddUser.
func (d *Dir) AddUser(username, passwd string, keys ...ssh.PublicKey) *config.User {
	u := config.User{
		Username: username, UID: "uid-" + username, Namespace: "team", Name: username,
		Mounts: []config.Mount{{Path: "/", Volume: "data", SubPath: username, Access: config.ReadWrite}},
	}
	for _, k := range keys {
		u.Keys = append(u.Keys, config.Key{PublicKey: Line(k)})
	}
	if passwd != "" {
		hash, err := password.New([]byte(passwd))
		if err != nil {
			panic(err)
		}
		u.Password = &config.Password{Hash: hash, Source: "secret/" + username}
	}
	d.Users = append(d.Users, u)
	return &d.Users[len(d.Users)-1]
}

// User returns the user of a name.
func (d *Dir) User(t testing.TB, username string) *config.User {
	t.Helper()
	for i := range d.Users {
		if d.Users[i].Username == username {
			return &d.Users[i]
		}
	}
	t.Fatalf("no user %q", username)
	return nil
}

// Remove removes the user of a name.
func (d *Dir) Remove(username string) {
	var left []config.User
	for _, u := range d.Users {
		if u.Username != username {
			left = append(left, u)
		}
	}
	d.Users = left
}

// Files encodes the directory's files.
func (d *Dir) Files(t testing.TB) map[string][]byte {
	t.Helper()
	shards := make([][]byte, max(1, d.Shards))
	for _, u := range d.Users {
		if u.Methods == nil {
			u.Methods = anyOf(u)
		}
		line, err := config.EncodeUser(u)
		if err != nil {
			t.Fatal(err)
		}
		// By the name: a user who comes or goes changes no other's shard.
		i := crc32.ChecksumIEEE([]byte(u.Username)) % uint32(len(shards))
		shards[i] = append(shards[i], line...)
	}
	listener, err := config.EncodeListener(d.Listener, d.HostKeys, shards)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{config.ListenerFile: listener}
	for i, shard := range shards {
		files[config.ShardFile(i)] = shard
	}
	for i, k := range d.HostKeys {
		files[config.HostKeyFile(i)] = k
	}
	return files
}

// anyOf lets each credential of a user log in by itself.
func anyOf(u config.User) (methods []string) {
	if len(u.Keys) > 0 || u.Certificates {
		methods = append(methods, string(factor.PublicKey))
	}
	if u.Password != nil {
		methods = append(methods, string(factor.Password))
	}
	return methods
}

// Write writes the directory and returns the digest of the configuration.
func (d *Dir) Write(t testing.TB) string {
	t.Helper()
	files := d.Files(t)
	d.WriteFiles(t, files)
	return config.Digest(files[config.ListenerFile])
}

// WriteFiles writes files as one new generation: into a directory of their own, to which
// the symlink ..data is then switched (kubernetes pkg/volume/util/atomic_writer.go).
func (d *Dir) WriteFiles(t testing.TB, files map[string][]byte) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	if d.Plain {
		for name, data := range files {
			must(os.WriteFile(filepath.Join(d.Path, name), data, 0o600))
		}
		return
	}
	d.generation++
	generation := fmt.Sprintf("..generation_%d", d.generation)
	must(os.Mkdir(filepath.Join(d.Path, generation), 0o700))
	for name, data := range files {
		must(os.WriteFile(filepath.Join(d.Path, generation, name), data, 0o600))
	}
	next := filepath.Join(d.Path, "..data_tmp")
	must(os.Symlink(generation, next))
	must(os.Rename(next, filepath.Join(d.Path, "..data")))
	for name := range files {
		link := filepath.Join(d.Path, name)
		if _, err := os.Lstat(link); err != nil {
			must(os.Symlink(filepath.Join("..data", name), link))
		}
	}
	if d.generation > 1 {
		must(os.RemoveAll(filepath.Join(d.Path, fmt.Sprintf("..generation_%d", d.generation-1))))
	}
}

// Key makes an Ed25519 key, and returns it also as a private key file.
func Key(t testing.TB) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Signer(t, private), PEM(t, private)
}

// Signer returns a signer of a private key.
func Signer(t testing.TB, private any) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// PEM returns a private key file in OpenSSH's format.
func PEM(t testing.TB, private any) []byte {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

// Line is a public key in the format of authorized_keys without a comment.
func Line(k ssh.PublicKey) string {
	line := ssh.MarshalAuthorizedKey(k)
	return string(line[:len(line)-1])
}

// Certificate has a CA certify a key as a host or a user (ssh.HostCert, ssh.UserCert) for
// principals, from an hour ago for two.
func Certificate(t testing.TB, ca ssh.Signer, kind uint32, key ssh.PublicKey, principals ...string) *ssh.Certificate {
	t.Helper()
	now := time.Now()
	c := &ssh.Certificate{
		Key: key, CertType: kind, KeyId: "test", ValidPrincipals: principals,
		ValidAfter:  uint64(now.Add(-time.Hour).Unix()),
		ValidBefore: uint64(now.Add(time.Hour).Unix()),
	}
	Certify(t, ca, c)
	return c
}

// Certify signs a certificate.
func Certify(t testing.TB, ca ssh.Signer, c *ssh.Certificate) {
	t.Helper()
	if err := c.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
}
