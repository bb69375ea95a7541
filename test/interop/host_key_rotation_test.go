package interop

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
)

// lasting is a session that is long enough for a client to learn host keys: OpenSSH's client requests a proof when the session
// begins, and does not wait for it at the end.
const lasting = "pwd\n!sleep 1\npwd\n"

// knows returns the keys in a client's known_hosts, ordered by their bytes.
func (o *openSSH) knows(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(o.known)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for len(data) > 0 {
		_, hosts, key, _, rest, err := ssh.ParseKnownHosts(data)
		if err != nil {
			t.Fatalf("%v in %q", err, data)
		}
		if !slices.Equal(hosts, []string{knownhosts.Normalize(o.daemon.Addr)}) {
			t.Errorf("known_hosts has %v", hosts)
		}
		keys, data = append(keys, configtest.Line(key)), rest
	}
	slices.Sort(keys)
	return keys
}

// hostKeyFile makes a host key and returns its private key.
func hostKeyFile(t *testing.T, keyType string) (ssh.PublicKey, []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "host")
	key := keygen(t, file, keyType)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return key, data
}

// TestHostKeyRotation: a client with UpdateHostKeys=yes and StrictHostKeyChecking=yes goes through complete rotations,
// including one that is reverted halfway, and logs in at each step, in batch mode, so that any prompt would fail. The client
// knows the new key once it is announced, and forgets the old one when that is gone. Another client that did not connect in
// between is refused, which would happen to all clients without an announcement.
func TestHostKeyRotation(t *testing.T) {
	for _, types := range [][2]string{{"ed25519", "ed25519"}, {"ecdsa", "ecdsa"}, {"rsa", "rsa"}, {"rsa", "ed25519"}} {
		t.Run(types[0]+" to "+types[1], func(t *testing.T) {
			t.Parallel()
			rotate(t, types[0], types[1])
		})
	}
}

func rotate(t *testing.T, from, to string) {
	t.Helper()
	key, id := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	before, beforeFile := hostKeyFile(t, from)
	after, afterFile := hostKeyFile(t, to)
	third, thirdFile := hostKeyFile(t, "ecdsa") // a key that stays
	if from == "ecdsa" {
		third, thirdFile = hostKeyFile(t, "ed25519")
	}
	dir.HostKeys = [][]byte{beforeFile, thirdFile}
	o := newOpenSSH(t, dir)
	f, err := os.OpenFile(o.known, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(knownHost(o.daemon.Addr, third)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	absent := *o
	absent.known = filepath.Join(t.TempDir(), "known_hosts")
	write(t, absent.known, knownHost(o.daemon.Addr, before))
	identity := append(o.identity(t, id), "-o", "UpdateHostKeys=yes", "-v", "-b", "-")
	stays := o.daemon.MustDial(t, "ada", ssh.PublicKeys(key))

	// login logs in with a key exchange that a certain key signs, and expects certain keys to be known afterwards.
	login := func(step string, signs ssh.PublicKey, known ...ssh.PublicKey) {
		t.Helper()
		algorithms := algorithmsOf(from)
		if bytes.Equal(signs.Marshal(), after.Marshal()) {
			algorithms = algorithmsOf(to)
		}
		var want []string
		for _, k := range known {
			want = append(want, configtest.Line(k))
		}
		slices.Sort(want)
		// On a busy machine a session may end before the proof has arrived.
		for try := 1; ; try++ {
			r := o.run(t, "sftp", "ada", "", lasting, append(slices.Clone(identity), "-o", "HostKeyAlgorithms=^"+algorithms))
			r.ok(t)
			_, said, _ := strings.Cut(r.stderr, "Server host key: ")
			said, _, _ = strings.Cut(said, "\n")
			if !strings.Contains(said, ssh.FingerprintSHA256(signs)) {
				t.Errorf("%s: signed by %s", step, said)
			}
			got := o.knows(t)
			if slices.Equal(got, want) {
				return
			}
			if try == 5 {
				t.Fatalf("%s: the client knows\n%s\nwant\n%s\n%s", step, strings.Join(got, "\n"), strings.Join(want, "\n"), r.stderr)
			}
		}
	}
	proved := func() (n int) {
		t.Helper()
		for _, p := range o.daemon.KeyUse(t, dir, config.KeyUseReport{}).HostKeyProofs {
			if p.Fingerprint == ssh.FingerprintSHA256(after) {
				n++
			}
		}
		return n
	}

	login("before", before, before, third)
	dir.HostKeys = append(dir.HostKeys, afterFile)
	dir.Listener.HostKeys = make([]config.HostKey, 3)
	step := func(old, young string) {
		t.Helper()
		dir.Listener.HostKeys[0].State, dir.Listener.HostKeys[2].State = old, young
		o.daemon.Reload(t, dir)
	}
	step(config.HostKeyActive, config.HostKeyStaged)
	login("staged", before, before, third)
	if n := proved(); n != 0 {
		t.Errorf("%d users have proof of a staged key", n)
	}
	step(config.HostKeyActive, config.HostKeyAdvertised)
	login("advertised", before, before, third, after)
	if n := proved(); n != 1 {
		t.Errorf("%d users have proof of the new key, want 1", n)
	}
	step(config.HostKeyRetiring, config.HostKeyActive)
	login("active", after, before, third, after)
	step(config.HostKeyActive, config.HostKeyRetiring)
	login("back", before, before, third, after)
	step(config.HostKeyRetiring, config.HostKeyActive)
	login("active again", after, before, third, after)

	dir.HostKeys, dir.Listener.HostKeys = [][]byte{thirdFile, afterFile}, nil
	o.daemon.Reload(t, dir)
	login("done", after, third, after)
	if n := proved(); n != 1 {
		t.Errorf("%d users have proof of the new key, want 1", n)
	}
	if r := absent.run(t, "sftp", "ada", "", lasting, identity); r.err == nil || !strings.Contains(r.stderr, "Host key verification failed") {
		t.Errorf("a client that knows only the old key: %v\n%s", r.err, r.stderr)
	}
	if _, err := stays.NewSession(); err != nil {
		t.Errorf("the existing session: %v", err)
	}
}

// algorithmsOf returns the algorithms with which a type of key signs.
func algorithmsOf(keyType string) string {
	return map[string]string{"ed25519": "ssh-ed25519", "ecdsa": "ecdsa-sha2-nistp256", "rsa": "rsa-sha2-512,rsa-sha2-256"}[keyType]
}
