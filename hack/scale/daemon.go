package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/controllers/shard"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
)

// daemonResult has the cost of a number of users for a daemon.
type daemonResult struct {
	Users, Shards int
	// Start is the time from the start of the process until it has loaded all users.
	Start time.Duration
	RSS   int64 // measured some time after that
	Peak  int64 // maximum, including reloads
	// Reload is the median time from a change to one user in the directory until the daemon shows its digest, and ReloadAll
	// that after a change to the settings, which all users depend on. CPU and AllCPU are the daemon's.
	Reload, ReloadAll time.Duration
	CPU, AllCPU       time.Duration
	// Idle has the latencies of a session's consecutive requests while nothing changes; Live and LiveAll have those during reloads.
	Idle, Live, LiveAll latency
}

func measureDaemon(ctx context.Context, dir string, s sizes, r *results) error {
	for _, users := range s.daemonUsers {
		progress("a daemon with %d users", users)
		work, err := os.MkdirTemp(dir, "daemon-")
		if err != nil {
			return err
		}
		result, err := measureOneDaemon(ctx, work, users, s.samples/2)
		if err != nil {
			return err
		}
		r.Daemon = append(r.Daemon, result)
	}
	return nil
}

// endpoint is a configuration directory and the daemon that runs with it.
type endpoint struct {
	dir, digest  string
	generation   int
	listener     config.Listener
	hostKey      []byte
	users        []config.User
	shards       int
	sftp, health string
	daemon       *process
}

func measureOneDaemon(ctx context.Context, dir string, users, samples int) (r daemonResult, err error) {
	e, key, err := newEndpoint(dir, users)
	if err != nil {
		return r, err
	}
	r.Users, r.Shards = users, e.shards
	if err := errors.Join(e.prepare(), e.publish()); err != nil {
		return r, err
	}
	start := time.Now()
	e.daemon, err = startProcess(filepath.Join(dir, "sftpd.log"), sftpd, []string{"GOMAXPROCS="},
		"serve", "-config", e.dir, "-listen", e.sftp, "-health", e.health)
	if err != nil {
		return r, err
	}
	defer func() {
		if stopped := e.daemon.stop(); err == nil {
			err = stopped
		}
	}()
	if err := e.loaded(ctx); err != nil {
		return r, err
	}
	r.Start = time.Since(start)
	requests, err := startRequests(e.sftp, e.users[0].Username, key)
	if err != nil {
		return r, err
	}
	defer requests.close()
	requests.record(true)
	if err := pause(ctx, 5*time.Second); err != nil {
		return r, err
	}
	requests.record(false)
	if r.Idle, err = requests.take(); err != nil {
		return r, err
	}
	u, err := e.daemon.usage()
	if err != nil {
		return r, err
	}
	r.RSS = u.rss
	var reloads [2]func(int)
	reloads[0] = func(i int) { e.users[1+i].MaxConnections = 1 + i%9 }
	reloads[1] = func(i int) { e.listener.Limits.MaxConnections = 1000 + i }
	for i, out := range []struct {
		wall, cpu *time.Duration
		live      *latency
	}{{&r.Reload, &r.CPU, &r.Live}, {&r.ReloadAll, &r.AllCPU, &r.LiveAll}} {
		if *out.wall, *out.cpu, err = e.reload(ctx, samples, requests, reloads[i]); err != nil {
			return r, err
		}
		if *out.live, err = requests.take(); err != nil {
			return r, err
		}
	}
	u, err = e.daemon.usage()
	r.Peak = u.peak
	progress("%d users: start %s, reload %s and %s, requests %s, %s, %s", users,
		duration(r.Start), duration(r.Reload), duration(r.ReloadAll), r.Idle, r.Live, r.LiveAll)
	return r, err
}

// reload changes the directory a number of times and returns the median time until the change is loaded, and the CPU time for
// each. The session's requests are recorded during that, but not while the files are created.
func (e *endpoint) reload(ctx context.Context, samples int, r *requests, change func(int)) (wall, cpu time.Duration, err error) {
	var times []time.Duration
	for i := range samples {
		change(i)
		if err := e.prepare(); err != nil {
			return 0, 0, err
		}
		before, err := e.daemon.usage()
		if err != nil {
			return 0, 0, err
		}
		r.record(true)
		start := time.Now()
		if err := errors.Join(e.publish(), e.loaded(ctx)); err != nil {
			return 0, 0, err
		}
		times = append(times, time.Since(start))
		r.record(false)
		after, err := e.daemon.usage()
		if err != nil {
			return 0, 0, err
		}
		cpu += after.cpu - before.cpu
		if err := os.RemoveAll(e.generationDir(e.generation - 1)); err != nil {
			return 0, 0, err
		}
	}
	return quantile(times, 0.5), cpu / time.Duration(samples), nil
}

// newEndpoint creates the settings and users. The first user is the one who logs in, with the returned key.
func newEndpoint(dir string, users int) (*endpoint, ssh.Signer, error) {
	hostKey, _, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	_, client, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	e := &endpoint{dir: filepath.Join(dir, "config"), hostKey: hostKey, shards: shard.Count(users)}
	for _, d := range []string{e.dir, filepath.Join(dir, "volume", "team-a")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, nil, err
		}
	}
	e.listener = config.Listener{
		Namespace: "scale", Name: "partners", CryptoPolicy: "Modern2026",
		Authentication: config.Authentication{Methods: []string{config.MethodPublicKey, config.MethodPassword}, MaxTries: 6, LoginGraceSeconds: 30},
		Limits:         config.Limits{MaxConnections: 500, MaxConnectionsPerUser: 10, IdleTimeoutSeconds: 900},
		Volumes:        []config.Volume{{Name: "data", Path: filepath.Join(dir, "volume")}},
	}
	for i := range users {
		name := fmt.Sprintf("partner-%05d", i)
		u := config.User{
			Username: name, UID: fmt.Sprintf("2f9c0a3e-0000-4000-8000-%012d", i), Namespace: "team-a", Name: name, Methods: []string{"PublicKey"},
			Mounts: []config.Mount{{Path: "/", Volume: "data", SubPath: "team-a/" + name, Access: config.ReadWrite}},
		}
		for _, line := range []string{publicKey(name), publicKey(name + "-2")} {
			u.Keys = append(u.Keys, config.Key{PublicKey: line})
		}
		e.users = append(e.users, u)
	}
	e.users[0].Keys[0].PublicKey = string(ssh.MarshalAuthorizedKey(client.PublicKey()))
	for _, a := range []*string{&e.sftp, &e.health} {
		if *a, err = freeAddress(); err != nil {
			return nil, nil, err
		}
	}
	return e, client, nil
}

// prepare writes a new generation of files, as the kubelet does.
func (e *endpoint) prepare() error {
	shards := make([][]byte, e.shards)
	for _, u := range e.users {
		line, err := config.EncodeUser(u)
		if err != nil {
			return err
		}
		i := crc32.ChecksumIEEE([]byte(u.UID)) % uint32(e.shards)
		shards[i] = append(shards[i], line...)
	}
	settings, err := config.EncodeListener(e.listener, [][]byte{e.hostKey}, shards)
	if err != nil {
		return err
	}
	files := map[string][]byte{config.ListenerFile: settings, config.HostKeyFile(0): e.hostKey}
	for i, data := range shards {
		files[config.ShardFile(i)] = data
	}
	e.generation++
	e.digest = config.Digest(settings)
	dir := e.generationDir(e.generation)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	if e.generation == 1 {
		return os.Symlink(filepath.Join("..data", config.ListenerFile), filepath.Join(e.dir, config.ListenerFile))
	}
	return nil
}

func (e *endpoint) generationDir(n int) string {
	return filepath.Join(e.dir, fmt.Sprintf("..generation_%d", n))
}

// publish switches the link to the prepared generation.
func (e *endpoint) publish() error {
	next := filepath.Join(e.dir, "..data_tmp")
	if err := os.Symlink(filepath.Base(e.generationDir(e.generation)), next); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(e.dir, "..data"))
}

// loaded waits until the daemon shows the digest of the written configuration.
func (e *endpoint) loaded(ctx context.Context) error {
	return poll(ctx, time.Minute, "the daemon loads", func() (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.health+config.StatusPath, http.NoBody)
		if err != nil {
			return false, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, nil // it does not listen yet
		}
		defer resp.Body.Close()
		var status config.Status
		err = json.NewDecoder(resp.Body).Decode(&status)
		return status.Digest == e.digest, err
	})
}

func newKey() (file []byte, signer ssh.Signer, err error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, nil, err
	}
	signer, err = ssh.NewSignerFromKey(private)
	return pem.EncodeToMemory(block), signer, err
}

// freeAddress returns an address on the loopback device on which nothing listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
