// Package configtest writes configuration directories for tests, as the operator and the
// kubelet do.
package configtest

import (
	"bytes"
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
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// Dir is a configuration directory to be written. Change its fields and call Write.
type Dir struct {
	Path     string
	Listener config.Listener
	HostKeys [][]byte
	// ReceiptKey is the private key of receipts, nil if none are issued; see IssueReceipts.
	ReceiptKey []byte
	Users      []config.User
	// Plain writes files without the kubelet's symlinks.
	Plain bool
	// Shards is the number of shards for the users; 0 means one.
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

// Volume returns the host directory of the volume "data".
func (d *Dir) Volume() string { return d.Listener.Volumes[0].Path }

// Home returns the host directory of a user created by AddUser.
func (d *Dir) Home(username string) string { return filepath.Join(d.Volume(), username) }

// AddUser adds a user with a home and the given credentials, and returns it so that it can be changed before Write. Without
// Methods each credential logs in on its own. The pointer is valid until the next AddUser.
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

// User returns the user with a name.
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

// Remove removes the user with a name.
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
		// By name, so that adding or removing a user changes no other user's shard.
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
	if d.Listener.Events.On() {
		files[config.EventsKeyFile] = EventsKey()
	}
	if d.Listener.Receipts.On() {
		files[config.ReceiptKeyFile] = d.ReceiptKey
	}
	return files
}

// IssueReceipts makes the daemon issue receipts, and returns what verifies them.
func (d *Dir) IssueReceipts(t testing.TB) receipt.Signers {
	t.Helper()
	_, d.ReceiptKey = Key(t)
	signer, err := receipt.ParseSigner(d.ReceiptKey)
	if err != nil {
		t.Fatal(err)
	}
	d.Listener.Uploads.Publish, d.Listener.Uploads.Checksum = config.PublishOnClose, config.ChecksumSHA256
	d.Listener.Receipts.Key = config.File{Name: config.ReceiptKeyFile, SHA256: config.Digest(d.ReceiptKey)}
	return receipt.Signers{{Principal: d.Listener.Namespace + "/" + d.Listener.Name, Key: signer.PublicKey()}}
}

// EventsKey returns the content of the file with the key for events.
func EventsKey() []byte { return bytes.Repeat([]byte("e"), 52) }

// RecordEvents makes the daemon record events for sinks.
func (d *Dir) RecordEvents(sinks ...config.EventSink) {
	d.Listener.Events = config.Events{
		Sinks: sinks, Source: events.Source("", d.Listener.Namespace, d.Listener.Name),
		Key: config.File{Name: config.EventsKeyFile, SHA256: config.Digest(EventsKey())},
	}
}

// anyOf lets each credential of a user log in on its own.
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

// WriteFiles writes files as one new generation: into a new directory, to which the symlink ..data is then switched (kubernetes
// pkg/volume/util/atomic_writer.go).
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

// Key creates an Ed25519 key, and also returns it as a private key file.
func Key(t testing.TB) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Signer(t, private), PEM(t, private)
}

// Signer returns a signer for a private key.
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

// Line returns a public key in the format of authorized_keys without a comment.
func Line(k ssh.PublicKey) string {
	line := ssh.MarshalAuthorizedKey(k)
	return string(line[:len(line)-1])
}

// Certificate has a CA certify a key as a host or a user (ssh.HostCert, ssh.UserCert) for principals, valid for two hours from
// an hour ago.
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

// Certify signs a certificate, also one without principals, which [ssh.Certificate.SignCert] refuses and other CAs issue.
func Certify(t testing.TB, ca ssh.Signer, c *ssh.Certificate) {
	t.Helper()
	c.Nonce = make([]byte, 32)
	_, _ = rand.Read(c.Nonce) // it never fails
	c.SignatureKey, c.Signature = ca.PublicKey(), nil
	unsigned := c.Marshal()
	unsigned = unsigned[:len(unsigned)-4] // without the length of the signature
	var err error
	if m, ok := ca.(ssh.MultiAlgorithmSigner); ok {
		c.Signature, err = m.SignWithAlgorithm(rand.Reader, unsigned, m.Algorithms()[0])
	} else {
		c.Signature, err = ca.Sign(rand.Reader, unsigned)
	}
	if err != nil {
		t.Fatal(err)
	}
}
