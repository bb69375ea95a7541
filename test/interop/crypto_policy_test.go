package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// The host keys that an endpoint may have.
const (
	hostEd25519 = "Ed25519"
	hostECDSA   = "ECDSA"
	hostRSA     = "RSA"
)

// withPolicy returns a configuration with a policy, with the restrictions that it requires, and with host keys of the given
// kinds.
func withPolicy(t *testing.T, policy string, hostKeys ...string) *configtest.Dir {
	t.Helper()
	dir := configtest.New(t)
	dir.Listener.CryptoPolicy = policy
	if policy == cryptopolicy.Legacy2026 {
		end := time.Now().Add(time.Hour)
		dir.Listener.AllowFrom, dir.Listener.CryptoPolicyNotAfter = []string{"127.0.0.0/8"}, &end
	}
	dir.HostKeys = nil
	for _, kind := range hostKeys {
		var key any
		var err error
		switch kind {
		case hostECDSA:
			key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		case hostRSA:
			key, err = rsa.GenerateKey(rand.Reader, 3072)
		default:
			_, file := configtest.Key(t)
			dir.HostKeys = append(dir.HostKeys, file)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		dir.HostKeys = append(dir.HostKeys, configtest.PEM(t, key))
	}
	return dir
}

// TestServerSigAlgs: OpenSSH receives the list in the golden file, and logs in and transfers files under each policy.
func TestServerSigAlgs(t *testing.T) {
	key, pem := configtest.Key(t)
	for _, p := range cryptopolicy.All() {
		t.Run(p.Name, func(t *testing.T) {
			dir := withPolicy(t, p.Name, hostEd25519)
			dir.AddUser("ada", "", key.PublicKey())
			o := newOpenSSH(t, dir)
			r := o.run(t, "sftp", "ada", "", "ls\n", append(o.identity(t, pem), "-b", "-", "-v"))
			r.ok(t)
			_, list, _ := strings.Cut(r.stderr, "server-sig-algs=<")
			list, _, _ = strings.Cut(list, ">")
			golden, err := os.ReadFile(filepath.Join("../../sftpd/contract/cryptopolicy/testdata", p.Name+".golden"))
			if err != nil {
				t.Fatal(err)
			}
			if line := "\nserver-sig-algs: " + list + "\n"; !strings.Contains(string(golden), line) {
				t.Errorf("received %s; golden file:\n%s", line, golden)
			}
		})
	}
}

// TestOldOpenSSH: the algorithms of clients from before 2014 work under Legacy2026 only.
func TestOldOpenSSH(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, pem := configtest.Signer(t, private), configtest.PEM(t, private)
	for _, p := range cryptopolicy.All() {
		for name, options := range map[string][]string{
			"group14-sha1":   {"KexAlgorithms=diffie-hellman-group14-sha1"},
			"ssh-rsa host":   {"HostKeyAlgorithms=ssh-rsa"},
			"ssh-rsa user":   {"PubkeyAcceptedAlgorithms=ssh-rsa"},
			"aes128-cbc":     {"Ciphers=aes128-cbc"},
			"hmac-sha1":      {"Ciphers=aes128-ctr", "MACs=hmac-sha1"},
			"all of them":    {"KexAlgorithms=diffie-hellman-group14-sha1", "HostKeyAlgorithms=ssh-rsa", "PubkeyAcceptedAlgorithms=ssh-rsa", "Ciphers=aes128-cbc", "MACs=hmac-sha1"},
			"group14-sha256": {"KexAlgorithms=diffie-hellman-group14-sha256"},
		} {
			t.Run(p.Name+"/"+name, func(t *testing.T) {
				dir := withPolicy(t, p.Name, hostRSA)
				dir.AddUser("ada", "", key.PublicKey())
				o := newOpenSSH(t, dir)
				args := append(o.identity(t, pem), "-b", "-")
				for _, option := range options {
					args = append(args, "-o", option)
				}
				r := o.run(t, "sftp", "ada", "", "ls\n", args)
				if p.Name == cryptopolicy.Legacy2026 {
					r.ok(t)
				} else if r.err == nil || !strings.Contains(r.stderr, "no matching") && !strings.Contains(r.stderr, "no mutual signature") && !strings.Contains(r.stderr, "Permission denied") {
					t.Errorf("want a refusal, got %v: %s", r.err, r.stderr)
				}
			})
		}
	}
}

// TestClientRekeys: a client may request new keys whenever it likes, including during transfers in both directions.
func TestClientRekeys(t *testing.T) {
	key, pem := configtest.Key(t)
	for _, p := range cryptopolicy.All() {
		t.Run(p.Name, func(t *testing.T) {
			dir := withPolicy(t, p.Name, hostEd25519)
			dir.AddUser("ada", "", key.PublicKey())
			o := newOpenSSH(t, dir)
			data := make([]byte, 8<<20)
			_, _ = rand.Read(data) // never fails since Go 1.24
			sent, received := filepath.Join(t.TempDir(), "sent"), filepath.Join(t.TempDir(), "received")
			write(t, sent, string(data))
			// With 512K and AES, OpenSSH exchanges keys with each packet, because it compares the bytes of the next packet with
			// blocks of 16 bytes. The daemon allows one exchange a second.
			r := o.run(t, "sftp", "ada", "", "put "+sent+" big\nget big "+received+"\n",
				append(o.identity(t, pem), "-b", "-", "-v", "-o", "RekeyLimit=2M"))
			r.ok(t)
			if n := strings.Count(r.stderr, "SSH2_MSG_NEWKEYS received"); n < 3 {
				t.Errorf("%d key exchanges", n)
			}
			if read(t, received) != string(data) {
				t.Error("the downloaded file differs from the uploaded one")
			}
		})
	}
}

// jsch returns a client with the algorithm lists of JSch 0.1.54's SSH_MSG_KEXINIT, in its order, without those that
// golang.org/x/crypto/ssh does not support.
//
// It supports gex-sha256 but not Ed25519, so the host key decides whether it can connect under a policy without SHA-1.
func jsch(user string, key ssh.Signer) *ssh.ClientConfig {
	old, err := ssh.NewSignerWithAlgorithms(key.(ssh.AlgorithmSigner), []string{ssh.KeyAlgoRSA})
	if err != nil {
		panic(err)
	}
	c := &ssh.ClientConfig{
		User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(old)}, Timeout: 20 * time.Second,
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		HostKeyAlgorithms: []string{
			ssh.KeyAlgoRSA, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		},
	}
	c.KeyExchanges = []string{
		ssh.KeyExchangeECDHP256, ssh.KeyExchangeECDHP384, ssh.KeyExchangeECDHP521, ssh.InsecureKeyExchangeDH14SHA1,
		ssh.KeyExchangeDHGEXSHA256, ssh.InsecureKeyExchangeDHGEXSHA1, ssh.InsecureKeyExchangeDH1SHA1,
	}
	c.Ciphers = []string{
		ssh.CipherAES128CTR, ssh.InsecureCipherAES128CBC, ssh.InsecureCipherTripleDESCBC, ssh.CipherAES192CTR, ssh.CipherAES256CTR,
	}
	c.MACs = []string{ssh.HMACSHA1, ssh.HMACSHA256, ssh.InsecureHMACSHA196}
	return c
}

// TestJSch: the algorithms of the SSH client of much Java software, in the last release by its original author, which signs
// only with SHA-1.
func TestJSch(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := configtest.Signer(t, private)
	for _, tc := range []struct {
		policy   string
		hostKeys []string
		password bool
		ok       bool
	}{
		{cryptopolicy.Legacy2026, []string{hostECDSA}, false, true},
		{cryptopolicy.Legacy2026, []string{hostRSA}, false, true},
		{cryptopolicy.Legacy2026, []string{hostEd25519}, false, false}, // no algorithm for it
		{cryptopolicy.Modern2026, []string{hostEd25519, hostRSA}, false, false},
		{cryptopolicy.Modern2026, []string{hostEd25519, hostRSA}, true, false},
		{cryptopolicy.Modern2026, []string{hostECDSA}, false, false}, // the user's signature uses SHA-1
		{cryptopolicy.Modern2026, []string{hostECDSA}, true, true},
		{cryptopolicy.Strict2026, []string{hostEd25519, hostRSA}, true, false},
		{cryptopolicy.Fips2026, []string{hostEd25519, hostRSA}, true, false},
		{cryptopolicy.Fips2026, []string{hostECDSA}, true, true},
	} {
		name := tc.policy + "/" + strings.Join(tc.hostKeys, "+")
		if tc.password {
			name += "/password"
		}
		t.Run(name, func(t *testing.T) {
			dir := withPolicy(t, tc.policy, tc.hostKeys...)
			dir.AddUser("ada", "secret-of-ada", key.PublicKey())
			o := daemontest.Start(t, dir)
			c := jsch("ada", key)
			if tc.password {
				c.Auth = []ssh.AuthMethod{ssh.Password("secret-of-ada")}
			}
			client, err := ssh.Dial("tcp", o.Addr, c)
			if (err == nil) != tc.ok {
				t.Errorf("connected: %v", err)
			}
			if err == nil {
				client.Close()
			}
		})
	}
}

// TestInsecurePeersGetTheBest: under Legacy2026 a client that supports better algorithms uses them, because the client's order
// counts and OpenSSH's begins with the best ones.
func TestInsecurePeersGetTheBest(t *testing.T) {
	key, pem := configtest.Key(t)
	dir := withPolicy(t, cryptopolicy.Legacy2026, hostEd25519, hostRSA)
	dir.AddUser("ada", "", key.PublicKey())
	o := newOpenSSH(t, dir)
	o.run(t, "sftp", "ada", "", "ls\n", append(o.identity(t, pem), "-b", "-")).ok(t)
	login := o.daemon.WaitAudit(t, "login", 1)
	bad := ssh.InsecureAlgorithms()
	for _, field := range []string{"key_exchange", "cipher", "mac", "host_key_algorithm", "public_key_algorithm"} {
		name, _ := login[field].(string)
		if slices.Contains(slices.Concat(bad.KeyExchanges, bad.Ciphers, bad.MACs, bad.HostKeys, bad.PublicKeyAuths), name) || strings.Contains(name, "sha1") {
			t.Errorf("%s: %s", field, name)
		}
	}
	if host, _, err := net.SplitHostPort(o.daemon.Addr); err != nil || host != "127.0.0.1" {
		t.Errorf("%s is not in the list of networks", o.daemon.Addr)
	}
}

// TestOldScanner: a client that knows only ssh-rsa host keys logs in as soon as the RSA key is announced, under Legacy2026 only.
// Clients that know the Ed25519 key do not notice: neither OpenSSH, nor a client that prefers RSA.
func TestOldScanner(t *testing.T) {
	key, pem := configtest.Key(t)
	for _, tc := range []struct {
		name, policy, state string
		ok                  bool
	}{
		{"both keys from the start", cryptopolicy.Legacy2026, config.HostKeyActive, true},
		{"a key that is advertised", cryptopolicy.Legacy2026, config.HostKeyAdvertised, true},
		{"a key that some pods lack", cryptopolicy.Legacy2026, config.HostKeyStaged, false},
		{"without SHA-1", cryptopolicy.Modern2026, config.HostKeyActive, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := withPolicy(t, tc.policy, hostEd25519, hostRSA)
			dir.Listener.HostKeys = []config.HostKey{{State: config.HostKeyActive}, {State: tc.state}}
			dir.AddUser("ada", "", key.PublicKey())
			o := newOpenSSH(t, dir) // which knows the Ed25519 key
			host := mustParse(t, dir.HostKeys[1])
			scanner := &openSSH{daemon: o.daemon, keys: o.keys, known: o.known + "-scanner"}
			write(t, scanner.known, knownHost(o.daemon.Addr, host.PublicKey()))
			r := scanner.run(t, "sftp", "ada", "", "ls\n", append(o.identity(t, pem), "-b", "-",
				"-o", "HostKeyAlgorithms=ssh-rsa", "-o", "KexAlgorithms=+diffie-hellman-group14-sha1"))
			if (r.err == nil) != tc.ok || !tc.ok && !strings.Contains(r.stderr, "no matching host key type") {
				t.Errorf("%v: %s", r.err, r.stderr)
			}
			if tc.ok {
				if login := o.daemon.WaitAudit(t, "login", 1); login["host_key_algorithm"] != "ssh-rsa" {
					t.Errorf("host key algorithm %v", login["host_key_algorithm"])
				}
			}
			o.run(t, "sftp", "ada", "", "ls\n", append(o.identity(t, pem), "-b", "-")).ok(t)
			if tc.state == config.HostKeyActive {
				return
			}
			// Like Go's and other libraries, which choose an algorithm without looking at the keys that they know.
			prefersRSA := &ssh.ClientConfig{
				User: "ada", Auth: []ssh.AuthMethod{ssh.PublicKeys(mustParse(t, pem))},
				HostKeyAlgorithms: []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSA, ssh.KeyAlgoED25519},
				HostKeyCallback:   ssh.FixedHostKey(mustParse(t, dir.HostKeys[0]).PublicKey()),
			}
			c, err := ssh.Dial("tcp", o.daemon.Addr, prefersRSA)
			if err != nil {
				t.Fatalf("a client that knows the Ed25519 key and prefers RSA: %v", err)
			}
			c.Close()
		})
	}
}

func mustParse(t *testing.T, file []byte) ssh.Signer {
	t.Helper()
	s, err := ssh.ParsePrivateKey(file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
