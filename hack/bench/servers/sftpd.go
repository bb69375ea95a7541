package servers

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	hashing "github.com/sftp-operator/sftp-operator/sftpd/contract/password"
	"github.com/sftp-operator/sftp-operator/sftpd/flow"
)

// Ours is the label of the daemon.
const Ours = "sftpd"

// many is for limits that must not be reached.
const many = 100_000

// Sftpd prepares the daemon, to be run from the given program with additional arguments for "serve".
func Sftpd(p *Place, program string, arguments ...string) (*Server, error) {
	group, err := p.group(Ours)
	if err != nil {
		return nil, err
	}
	root, err := p.root(Ours)
	if err != nil {
		return nil, err
	}
	addr, err := p.FreePort()
	if err != nil {
		return nil, err
	}
	dir := p.path("sftpd-config")
	if err := writeConfig(dir, root, p.Key.PublicKey()); err != nil {
		return nil, err
	}
	proc := &process{group: group, log: p.path("sftpd.log")}
	return &Server{
		Label: Ours, Addr: addr, User: userName, Key: p.Key, KeyFile: p.KeyFile(), Password: password, PasswordHash: "argon2id",
		Root: root, Remote: "/", Group: group, MaxIdle: sessionsOfOneUser(), knownHosts: p.path("sftpd.known_hosts"),
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
func writeConfig(dir, root string, key ssh.PublicKey) error {
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
	listener, err := config.EncodeListener(config.Listener{
		Namespace: "bench", Name: "bench", CryptoPolicy: "Modern2026",
		Authentication: config.Authentication{
			Methods:  []string{config.MethodPublicKey, config.MethodPassword},
			MaxTries: 6, LoginGraceSeconds: 120,
		},
		Limits:  config.Limits{MaxConnections: many, MaxConnectionsPerUser: many, IdleTimeoutSeconds: 3600},
		Volumes: []config.Volume{{Name: "files", Path: root}},
	}, [][]byte{hostKey}, [][]byte{user})
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{config.ListenerFile: listener, config.ShardFile(0): user} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	for _, name := range []string{"", config.ListenerFile, config.ShardFile(0), config.HostKeyFile(0)} {
		if err := os.Chown(filepath.Join(dir, name), userID, userID); err != nil {
			return err
		}
	}
	return nil
}

// authorizedKey is a public key in the format of authorized_keys, without a comment.
func authorizedKey(key ssh.PublicKey) string {
	line := ssh.MarshalAuthorizedKey(key)
	return string(line[:len(line)-1])
}
