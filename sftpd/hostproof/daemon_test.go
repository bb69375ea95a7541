package hostproof_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/hostproof"
)

const (
	announceHostKeys = "hostkeys-00@openssh.com"
	proveHostKeys    = hostproof.Request
)

// endpointKeys returns host keys of three types and in four states, active ones first.
type endpointKeys struct {
	ed, ec, rsa, staged, advertised, retiring ssh.Signer
}

func severalHostKeys(t *testing.T, dir *configtest.Dir) endpointKeys {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ed, file := configtest.Key(t)
	k := endpointKeys{ed: ed, ec: configtest.Signer(t, ec), rsa: configtest.Signer(t, r)}
	dir.HostKeys = [][]byte{file, configtest.PEM(t, ec), configtest.PEM(t, r)}
	dir.Listener.HostKeys = make([]config.HostKey, len(dir.HostKeys))
	for into, state := range map[*ssh.Signer]string{
		&k.staged: config.HostKeyStaged, &k.advertised: config.HostKeyAdvertised, &k.retiring: config.HostKeyRetiring,
	} {
		*into, file = configtest.Key(t)
		dir.HostKeys = append(dir.HostKeys, file)
		dir.Listener.HostKeys = append(dir.Listener.HostKeys, config.HostKey{State: state})
	}
	return k
}

// peer is a client that records global requests.
type peer struct {
	ssh.Conn
	*ssh.Client
	requests <-chan *ssh.Request
}

func connect(t *testing.T, d *daemontest.Daemon, edit func(*ssh.ClientConfig), methods ...ssh.AuthMethod) peer {
	t.Helper()
	c := &ssh.ClientConfig{
		User: "ada", Auth: methods, Timeout: 10 * time.Second,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	}
	if edit != nil {
		edit(c)
	}
	conn, channels, requests, err := ssh.NewClientConn(daemontest.Connect(t, d.Addr), d.Addr, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the test may have closed it
	seen := make(chan *ssh.Request, 16)
	none := make(chan *ssh.Request)
	close(none)
	go func() {
		defer close(seen)
		for r := range requests {
			seen <- r
			if r.WantReply {
				_ = r.Reply(false, nil)
			}
		}
	}()
	return peer{Conn: conn, Client: ssh.NewClient(conn, channels, none), requests: seen}
}

// announcement returns the next global request, which must be the host-key announcement.
func (p peer) announcement(t *testing.T) []string {
	t.Helper()
	select {
	case r := <-p.requests:
		if r == nil || r.Type != announceHostKeys || r.WantReply {
			t.Fatalf("global request %+v", r)
		}
		return stringsIn(t, r.Payload)
	case <-time.After(15 * time.Second):
		t.Fatal("no announcement")
		return nil
	}
}

// stringsIn returns the strings that make up a payload.
func stringsIn(t *testing.T, payload []byte) []string {
	t.Helper()
	var out []string
	for len(payload) > 0 {
		var next struct {
			S    string
			Rest []byte `ssh:"rest"`
		}
		if err := ssh.Unmarshal(payload, &next); err != nil {
			t.Fatal(err)
		}
		out, payload = append(out, next.S), next.Rest
	}
	return out
}

func wires(keys ...ssh.Signer) []string {
	var out []string
	for _, k := range keys {
		out = append(out, string(k.PublicKey().Marshal()))
	}
	return out
}

// request returns the payload that requests proofs of keys.
func request(keys ...ssh.Signer) []byte { return concat(wires(keys...)...) }

func concat(strings ...string) []byte {
	var out []byte
	for _, s := range strings {
		out = append(out, ssh.Marshal(struct{ S string }{s})...)
	}
	return out
}

// proves requests proofs, verifies them as OpenSSH's client does, and returns their algorithms.
func (p peer) proves(t *testing.T, keys ...ssh.Signer) []string {
	t.Helper()
	ok, answer, err := p.Conn.SendRequest(proveHostKeys, true, request(keys...))
	if err != nil || !ok {
		t.Fatalf("not proved: %v", err)
	}
	blobs := stringsIn(t, answer)
	if len(blobs) != len(keys) {
		t.Fatalf("%d signatures for %d keys", len(blobs), len(keys))
	}
	var algorithms []string
	for i, k := range keys {
		var sig ssh.Signature
		if err := ssh.Unmarshal([]byte(blobs[i]), &sig); err != nil {
			t.Fatal(err)
		}
		signed := concat(proveHostKeys, string(p.Conn.SessionID()), string(k.PublicKey().Marshal()))
		if err := k.PublicKey().Verify(signed, &sig); err != nil {
			t.Errorf("key %d: %v", i, err)
		}
		algorithms = append(algorithms, sig.Format)
	}
	return algorithms
}

func (p peer) refuses(t *testing.T, what string, payload []byte) {
	t.Helper()
	if ok, answer, err := p.Conn.SendRequest(proveHostKeys, true, payload); ok || len(answer) > 0 || err != nil {
		t.Errorf("%s: %v, %d bytes, %v", what, ok, len(answer), err)
	}
}

// TestHostKeysAreAnnounced: right after its login, each client learns all keys that are not staged: once, not again after a
// reload or key exchange, and never before a login.
func TestHostKeysAreAnnounced(t *testing.T) {
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	keys := severalHostKeys(t, dir)
	dir.AddUser("ada", "", key.PublicKey())
	d := daemontest.Start(t, dir)
	p := connect(t, d, func(c *ssh.ClientConfig) { c.RekeyThreshold = 1 }, ssh.PublicKeys(key)) // the minimum that x/crypto allows
	got, want := p.announcement(t), wires(keys.ed, keys.ec, keys.rsa, keys.advertised, keys.retiring)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("announced %q, want %q", got, want)
	}
	dir.Listener.HostKeys[3].State = config.HostKeyAdvertised
	d.Reload(t, dir)
	for range 3 { // each a key exchange or more
		daemontest.StillWorks(t, p.Client)
	}
	_ = p.Conn.Close()
	for r := range p.requests {
		t.Errorf("another global request, %s", r.Type)
	}
}

// TestClientsThatFailAtAnnouncements: clients known to break get no announcement; others with similar names do.
func TestClientsThatFailAtAnnouncements(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	dir.AddUser("ada", "", key.PublicKey())
	d := daemontest.Start(t, dir)
	for version, told := range map[string]bool{
		"SSH-2.0-TTSSH/2.72 Win32": false, "SSH-2.0-TTSSH/2.15 Win32": false, "SSH-2.0-Cisco-1.25": false,
		"SSH-2.0-TTSSH/2.92 Win32": true, "SSH-2.0-Cisco-2.0": true, "SSH-2.0-OpenSSH_9.2": true,
	} {
		p := connect(t, d, func(c *ssh.ClientConfig) { c.ClientVersion = version }, ssh.PublicKeys(key))
		daemontest.StillWorks(t, p.Client)
		_ = p.Conn.Close()
		n := 0
		for range p.requests {
			n++
		}
		if (n == 1) != told || n > 1 {
			t.Errorf("%s: %d announcements", version, n)
		}
	}
}

// TestHostKeysAreProved: a key is proved in any state, in the order of the request, and once per connection; RSA uses the
// algorithm that the connection negotiated, or else SHA-512. The proof is reported to the operator.
func TestHostKeysAreProved(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	keys := severalHostKeys(t, dir)
	dir.AddUser("ada", "", key.PublicKey())
	d := daemontest.Start(t, dir)

	p := connect(t, d, func(c *ssh.ClientConfig) { c.HostKeyAlgorithms = []string{ssh.KeyAlgoED25519} }, ssh.PublicKeys(key))
	got := p.proves(t, keys.retiring, keys.rsa, keys.staged, keys.ec)
	if want := []string{ssh.KeyAlgoED25519, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256}; !slices.Equal(got, want) {
		t.Errorf("signed with %v, want %v", got, want)
	}
	p.refuses(t, "a key again", request(keys.rsa))
	p.refuses(t, "a new one and a key again", request(keys.advertised, keys.rsa))
	p.proves(t, keys.advertised, keys.ed) // the refusal did not use up the proof
	daemontest.StillWorks(t, p.Client)

	for _, algorithm := range []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512} {
		p := connect(t, d, func(c *ssh.ClientConfig) { c.HostKeyAlgorithms = []string{algorithm} }, ssh.PublicKeys(key))
		if got := p.proves(t, keys.rsa, keys.ed); !slices.Equal(got, []string{algorithm, ssh.KeyAlgoED25519}) {
			t.Errorf("signed with %v after %s", got, algorithm)
		}
	}

	proved := map[string]int{}
	for _, h := range d.KeyUse(t, dir, config.KeyUseReport{}).HostKeyProofs {
		if h.UID != "uid-ada" {
			t.Errorf("proof for %s", h.UID)
		}
		proved[h.Fingerprint]++
	}
	for _, k := range []ssh.Signer{keys.ed, keys.ec, keys.rsa, keys.staged, keys.advertised, keys.retiring} {
		if f := ssh.FingerprintSHA256(k.PublicKey()); proved[f] != 1 {
			t.Errorf("%s was proved %d times in %v", f, proved[f], proved)
		}
	}
	for _, line := range []string{`sftpd_host_key_proofs_total{result="answered"} 4`, `sftpd_host_key_proofs_total{result="refused"} 2`} {
		if !d.HasMetric(t, line) {
			t.Errorf("no metric %s", line)
		}
	}
}

// TestProofsRefused: a request that is not a list of distinct keys of this endpoint is refused as a whole; the session
// continues, and a valid request is answered.
func TestProofsRefused(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	stranger, _ := configtest.Key(t)
	ca, _ := configtest.Key(t)
	dir := configtest.New(t)
	keys := severalHostKeys(t, dir)
	certificate := configtest.Certificate(t, ca, ssh.HostCert, keys.ed.PublicKey(), "h")
	dir.Listener.HostKeys[0].Certificate = configtest.Line(certificate)
	dir.AddUser("ada", "", key.PublicKey())
	d := daemontest.Start(t, dir)
	p := connect(t, d, nil, ssh.PublicKeys(key))
	good := request(keys.ed)
	many := bytes.Repeat(concat("x"), 50000) // nearly as long as a packet may be
	for what, payload := range map[string][]byte{
		"nothing":             nil,
		"an unknown key":      request(stranger),
		"one of them unknown": request(keys.ed, stranger),
		"a key twice":         request(keys.ed, keys.ec, keys.ed),
		"a certificate":       concat(string(certificate.Marshal())),
		"an empty key":        concat(""),
		"empty keys":          concat("", ""),
		"half a length":       good[:3],
		"half a key":          good[:len(good)-1],
		"a byte after it":     append(slices.Clone(good), 0),
		"half a length after": append(slices.Clone(good), 0, 0, 0),
		"an absurd length":    append([]byte{0xff, 0xff, 0xff, 0xff}, good[4:]...),
		"a length too long":   append(slices.Clone(good), 0, 0, 0, 1),
		"very many":           many,
		"many of them good":   append(slices.Clone(good), many...),
		"a private-use blob":  concat("ssh-ed25519"),
		"not a list of blobs": []byte("hostkeys-prove-00@openssh.com"),
		"zeros":               make([]byte, 100),
	} {
		p.refuses(t, what, payload)
	}
	// If no answer is wanted, nothing is signed.
	if _, _, err := p.Conn.SendRequest(proveHostKeys, false, request(keys.rsa)); err != nil {
		t.Fatal(err)
	}
	p.proves(t, keys.ed, keys.rsa)
	daemontest.StillWorks(t, p.Client)
	if got := d.KeyUse(t, dir, config.KeyUseReport{}).HostKeyProofs; len(got) != 2 {
		t.Errorf("proofs %v, want two", got)
	}
}

// TestProofsFollowReloads: after a reload, a connection gets proofs of the current keys.
func TestProofsFollowReloads(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	dir := configtest.New(t)
	old, file := configtest.Key(t)
	dir.HostKeys = [][]byte{file}
	dir.AddUser("ada", "", key.PublicKey())
	d := daemontest.Start(t, dir)
	p := connect(t, d, nil, ssh.PublicKeys(key))
	next, file := configtest.Key(t)
	p.refuses(t, "a key that is to come", request(next))

	dir.HostKeys = append(dir.HostKeys, file)
	dir.Listener.HostKeys = []config.HostKey{{}, {State: config.HostKeyStaged}}
	d.Reload(t, dir)
	p.proves(t, next)
	if got := connect(t, d, nil, ssh.PublicKeys(key)).announcement(t); !slices.Equal(got, wires(old)) {
		t.Error("a staged key was announced")
	}
	if got := d.KeyUse(t, dir, config.KeyUseReport{}).HostKeyProofs; len(got) != 1 || got[0].Fingerprint != ssh.FingerprintSHA256(next.PublicKey()) {
		t.Errorf("proofs %v", got)
	}

	dir.HostKeys, dir.Listener.HostKeys = dir.HostKeys[1:], nil
	d.Reload(t, dir)
	p.refuses(t, "a key that is gone", request(old))
	if got := connect(t, d, nil, ssh.PublicKeys(key)).announcement(t); !slices.Equal(got, wires(next)) {
		t.Error("the key that is gone was announced")
	}
	daemontest.StillWorks(t, p.Client)
}

// TestProofsFollowThePolicy: an RSA key is proved with SHA-1 only to a client that has negotiated it, and only as long as the
// policy allows it.
func TestProofsFollowThePolicy(t *testing.T) {
	t.Parallel()
	key, _ := configtest.Key(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	host := configtest.Signer(t, private)
	end := time.Now().Add(time.Hour)
	dir := configtest.New(t)
	dir.HostKeys = [][]byte{configtest.PEM(t, private)}
	dir.Listener.CryptoPolicy, dir.Listener.CryptoPolicyNotAfter = cryptopolicy.Legacy2026, &end
	dir.Listener.AllowFrom = []string{"127.0.0.0/8"}
	dir.AddUser("ada", "", key.PublicKey())
	d := daemontest.Start(t, dir)
	with := func(algorithm string) peer {
		return connect(t, d, func(c *ssh.ClientConfig) { c.HostKeyAlgorithms = []string{algorithm} }, ssh.PublicKeys(key))
	}
	old, other, later := with(ssh.KeyAlgoRSA), with(ssh.KeyAlgoRSASHA256), with(ssh.KeyAlgoRSA)
	if got := old.proves(t, host); got[0] != ssh.KeyAlgoRSA {
		t.Errorf("signed with %v after ssh-rsa", got)
	}
	if got := other.proves(t, host); got[0] != ssh.KeyAlgoRSASHA256 {
		t.Errorf("signed with %v after rsa-sha2-256", got)
	}
	dir.Listener.CryptoPolicy, dir.Listener.CryptoPolicyNotAfter = cryptopolicy.Modern2026, nil
	d.Reload(t, dir)
	if got := later.proves(t, host); got[0] != ssh.KeyAlgoRSASHA512 {
		t.Errorf("signed with %v when the policy has no SHA-1 anymore", got)
	}
}
