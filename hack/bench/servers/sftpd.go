package servers

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	hashing "github.com/sftp-operator/sftp-operator/sftpd/contract/password"
	"github.com/sftp-operator/sftp-operator/sftpd/flow"
)

// Ours is the label of the daemon.
const Ours = "sftpd"

// many is for limits that must not be reached.
const many = 100_000

// Features are what the daemon does for uploads beyond writing them.
type Features struct {
	// Label of the server in the tables.
	Label string
	// OnClose publishes uploads when they are closed, Events records an event for each, Checksum computes its SHA-256, and Receipts
	// signs a receipt, which needs OnClose and Checksum.
	OnClose, Events, Checksum, Receipts bool
}

// Plain is the daemon with its defaults.
var Plain = Features{Label: Ours}

// Featured lists the features in the order in which they are added.
var Featured = []Features{
	{Label: "on-close", OnClose: true},
	{Label: "events", OnClose: true, Events: true},
	{Label: "checksums", OnClose: true, Events: true, Checksum: true},
	{Label: "receipts", OnClose: true, Events: true, Checksum: true, Receipts: true},
}

// Sftpd prepares the daemon, to be run from the given program with additional arguments for "serve".
func Sftpd(p *Place, program string, features Features, arguments ...string) (*Server, error) {
	group, err := p.group(features.Label)
	if err != nil {
		return nil, err
	}
	root, err := p.root(features.Label)
	if err != nil {
		return nil, err
	}
	addr, err := p.FreePort()
	if err != nil {
		return nil, err
	}
	dir := p.path(features.Label + "-config")
	if err := writeConfig(dir, root, p.Key.PublicKey(), features); err != nil {
		return nil, err
	}
	proc := &process{group: group, log: p.path(features.Label + ".log")}
	return &Server{
		Label: features.Label, Addr: addr, User: userName, Key: p.Key, KeyFile: p.KeyFile(), Password: password, PasswordHash: "argon2id",
		Root: root, Remote: "/", Group: group, MaxIdle: sessionsOfOneUser(), knownHosts: p.path(features.Label + ".known_hosts"),
		start: proc.run(func(ctx context.Context) *exec.Cmd {
			args := append([]string{"serve", "-config", dir, "-listen", addr, "-health", "127.0.0.1:0"}, arguments...)
			cmd := exec.CommandContext(ctx, program, args...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: userID, Gid: userID}}
			return cmd
		}),
		stop: proc.stop,
	}, nil
}

// sessionsOfOneUser returns how many sessions one user can have within the limit of open files. The daemon keeps two thirds of them for
// connections and half of the rest for other users, and a session has its user's directory open.
func sessionsOfOneUser() int {
	const reserved = 512 // more than the daemon keeps for itself
	limit := flow.OpenFilesLimit()
	return int((limit - min(limit, reserved)) / 6)
}

// writeConfig writes a configuration with one user, limits that are not reached, and otherwise the defaults of the API.
func writeConfig(dir, root string, key ssh.PublicKey, features Features) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	hash, err := hashing.New([]byte(password))
	if err != nil {
		return err
	}
	user, err := config.EncodeUser(config.User{
		Username: userName, UID: "1", Namespace: "bench", Name: userName, Methods: []string{"PublicKey", "Password"},
		Keys:     []config.Key{{PublicKey: authorizedKey(key)}},
		Password: &config.Password{Hash: hash, Source: "bench"},
		Mounts:   []config.Mount{{Path: "/", Volume: "files", Access: config.ReadWrite}},
	})
	if err != nil {
		return err
	}
	hostKeyFile := filepath.Join(dir, config.HostKeyFile(0))
	if _, err := makeKey(hostKeyFile); err != nil {
		return err
	}
	hostKey, err := os.ReadFile(hostKeyFile)
	if err != nil {
		return err
	}
	settings := config.Listener{
		Namespace: "bench", Name: "bench", CryptoPolicy: "Modern2026",
		Authentication: config.Authentication{
			Methods:  []string{config.MethodPublicKey, config.MethodPassword},
			MaxTries: 6, LoginGraceSeconds: 120,
		},
		Limits:  config.Limits{MaxConnections: many, MaxConnectionsPerUser: many, IdleTimeoutSeconds: 3600},
		Volumes: []config.Volume{{Name: "files", Path: root}},
	}
	files := features.add(&settings, hostKey)
	if files[config.ListenerFile], err = config.EncodeListener(settings, [][]byte{hostKey}, [][]byte{user}); err != nil {
		return err
	}
	files[config.ShardFile(0)] = user
	return writeFiles(dir, files)
}

// writeFiles writes the files of a configuration, which belong to the server's user, like the existing ones.
func writeFiles(dir string, files map[string][]byte) error {
	owned := []string{"", config.HostKeyFile(0)}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
		owned = append(owned, name)
	}
	for _, name := range owned {
		if err := os.Chown(filepath.Join(dir, name), userID, userID); err != nil {
			return err
		}
	}
	return nil
}

// add adds the settings for the features, and returns the files that they refer to. Events are kept until someone asks for them, which
// no one does. The key of receipts is the host key: it only has to be one.
func (f Features) add(l *config.Listener, key []byte) map[string][]byte {
	files := map[string][]byte{}
	if f.OnClose {
		l.Uploads.Publish = config.PublishOnClose
	}
	if f.Checksum {
		l.Uploads.Checksum = config.ChecksumSHA256
	}
	if f.Events {
		secret := []byte(rand.Text() + rand.Text())
		l.Events = config.Events{
			Sinks:    []config.EventSink{{Name: "bench", Types: []events.Type{events.FilePublished}}},
			Source:   events.Source("", l.Namespace, l.Name),
			Key:      config.File{Name: config.EventsKeyFile, SHA256: config.Digest(secret)},
			MaxBytes: config.MaxEventsBytes,
		}
		files[config.EventsKeyFile] = secret
	}
	if f.Receipts {
		l.Receipts.Key = config.File{Name: config.ReceiptKeyFile, SHA256: config.Digest(key)}
		files[config.ReceiptKeyFile] = key
	}
	return files
}

// authorizedKey returns a public key in the format of authorized_keys, without a comment.
func authorizedKey(key ssh.PublicKey) string {
	line := ssh.MarshalAuthorizedKey(key)
	return string(line[:len(line)-1])
}
