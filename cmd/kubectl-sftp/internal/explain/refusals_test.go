package explain

import (
	"crypto/rand"
	"crypto/rsa"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// refusal describes how to make a daemon refuse a login.
type refusal struct {
	// objects changes what the operator compiles, nil for nothing.
	objects func(w *world)
	// login makes the attempt that is refused.
	login func(w *world)
	// want is the required answer of why before it has read the log: Denied with the reason, or Unknown.
	want Result
}

func byKey(w *world) { w.login(w.byKey()) }

func after(d time.Duration) *metav1.Time { return &metav1.Time{Time: time.Now().Add(d)} }

// certified is a login with an invalid certificate.
func certified(change func(c *ssh.Certificate)) refusal {
	return refusal{func(w *world) { w.certify(change) }, byCertificate, Denied}
}

func byCertificate(w *world) {
	signer, err := ssh.NewCertSigner(w.in.Certificate, w.own)
	if err != nil {
		w.Fatal(err)
	}
	w.login(ssh.PublicKeys(signer))
}

// forger offers a key, and signs with another.
type forger struct {
	ssh.Signer
	other ssh.Signer
}

func (f forger) Sign(r io.Reader, data []byte) (*ssh.Signature, error) { return f.other.Sign(r, data) }

// refusals lists those that a client or its user's owner can cause, one for each reason.
var refusals = map[event.Reason]refusal{
	event.UnknownUser:   {func(w *world) { w.in.User.Spec.Authentication = v1alpha1.UserAuthentication{} }, byKey, Denied},
	event.UserSuspended: {func(w *world) { w.in.User.Spec.State = v1alpha1.UserSuspended }, byKey, Denied},
	event.UserExpired: {func(w *world) {
		w.in.User.Spec.ExpirationTime, w.compiledAt = after(-time.Hour), time.Now().Add(-2*time.Hour)
	}, byKey, Denied},
	event.KeyNotRegistered: {nil, func(w *world) {
		other, _ := configtest.Key(w)
		w.use(other.PublicKey())
		w.login(ssh.PublicKeys(other))
	}, Denied},
	event.KeyExpired:     {func(w *world) { w.assign(nil, after(-time.Hour)) }, byKey, Denied},
	event.KeyNotYetValid: {func(w *world) { w.assign(after(time.Hour), nil) }, byKey, Denied},
	event.KeyRevoked: {func(w *world) {
		w.in.Listener.Spec.RevokedKeys = []v1alpha1.RevokedKey{{Fingerprint: w.in.Fingerprint}}
	}, byKey, Denied},
	event.KeyTooShort: {func(w *world) {
		w.adjust = func(dir *configtest.Dir) {
			own, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				w.Fatal(err)
			}
			w.own = configtest.Signer(w, own)
			w.use(w.own.PublicKey())
			dir.Users[0].Keys = []config.Key{{PublicKey: configtest.Line(w.own.PublicKey())}}
			dir.Listener.CryptoPolicy = string(v1alpha1.CryptoStrict2026)
			w.in.Listener.Spec.CryptoPolicy = v1alpha1.CryptoStrict2026
		}
	}, byKey, Denied},
	event.BadSignature: {nil, func(w *world) {
		other, _ := configtest.Key(w)
		w.login(ssh.PublicKeys(forger{w.own, other}))
	}, Unknown},
	event.KeyUsedBefore: {func(w *world) {
		second, _ := configtest.Key(w)
		w.auth().AuthorizedKeys = append(w.auth().AuthorizedKeys, configtest.Line(second.PublicKey()))
		w.methods(v1alpha1.AuthPublicKey, v1alpha1.AuthPublicKey)
	}, byKey, Unknown},
	event.NotAUserCertificate:    certified(func(c *ssh.Certificate) { c.CertType = ssh.HostCert }),
	event.CertificatePrincipal:   certified(func(c *ssh.Certificate) { c.ValidPrincipals = []string{"globex"} }),
	event.CertificateNotYetValid: certified(func(c *ssh.Certificate) { c.ValidAfter = uint64(time.Now().Add(time.Hour).Unix()) }),
	event.CertificateExpired:     certified(func(c *ssh.Certificate) { c.ValidBefore = uint64(time.Now().Add(-time.Minute).Unix()) }),
	event.CertificateOption: certified(func(c *ssh.Certificate) {
		c.CriticalOptions = map[string]string{"force-command": "rsync"}
	}),
	event.CertificateInvalid: {func(w *world) {
		w.certify(func(*ssh.Certificate) {})
		w.in.Certificate.KeyId = "another"
	}, byCertificate, Denied},
	event.CertificateRevoked: {func(w *world) {
		w.certify(func(c *ssh.Certificate) { c.Serial = 7 })
		w.in.Listener.Spec.RevokedKeys = []v1alpha1.RevokedKey{{
			Certificate: &v1alpha1.RevokedCertificate{Serial: "7", CAFingerprint: ssh.FingerprintSHA256(w.ca.PublicKey())},
		}}
	}, byCertificate, Denied},
	event.CANotTrusted: {func(w *world) {
		w.certify(func(*ssh.Certificate) {})
		other, _ := configtest.Key(w)
		w.in.Listener.Spec.Authentication.TrustedUserCAs = []string{configtest.Line(other.PublicKey())}
	}, byCertificate, Denied},
	event.CANotAllowed: {func(w *world) {
		own, err := rsa.GenerateKey(rand.Reader, 3072)
		if err != nil {
			w.Fatal(err)
		}
		all, _ := configtest.Signer(w, own).(ssh.AlgorithmSigner)
		if w.ca, err = ssh.NewSignerWithAlgorithms(all, []string{ssh.KeyAlgoRSA}); err != nil {
			w.Fatal(err)
		}
		w.certify(func(*ssh.Certificate) {})
	}, byCertificate, Denied},
	event.CertificatesNotAccepted: {func(w *world) {
		w.certify(func(*ssh.Certificate) {})
		w.auth().Certificates = ""
	}, byCertificate, Denied},
	event.AlgorithmRefused: {nil, func(w *world) {
		own, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			w.Fatal(err)
		}
		key := configtest.Signer(w, own).PublicKey()
		w.auth().AuthorizedKeys = []string{configtest.Line(key)}
		w.use(key)
		m := append(daemontest.Userauth("acme", "publickey"), 0)
		m = daemontest.AppendString(daemontest.AppendString(m, ssh.KeyAlgoRSA), string(key.Marshal()))
		w.peer((*daemontest.Peer).Exchange, func(p *daemontest.Peer) error { return p.WritePacket(m) })
	}, Unknown},
	event.SourceNotAllowed: {func(w *world) { w.in.User.Spec.AllowedCIDRs = []v1alpha1.Network{"203.0.113.0/24"} }, byKey, Denied},
	event.WrongPassword:    {byPassword, func(w *world) { w.login(ssh.Password("battery")) }, Denied},
	event.NoPassword: {func(w *world) {
		byPassword(w)
		w.auth().PasswordSecretRef = nil
	}, func(w *world) { w.login(ssh.Password("battery")) }, Denied},
	event.KeyRequiredFirst: {func(w *world) {
		byPassword(w)
		w.methods(v1alpha1.AuthPublicKey, v1alpha1.AuthPassword)
	}, func(w *world) { w.login(ssh.Password(secretPassword)) }, Denied},
	event.PasswordRequiredFirst: {func(w *world) { w.methods(v1alpha1.AuthPassword, v1alpha1.AuthPublicKey) }, byKey, Unknown},
	event.NextFactorMissing:     {func(w *world) { w.methods(v1alpha1.AuthPublicKey, v1alpha1.AuthPassword) }, byKey, Unknown},
	event.WrongCode: {codes, func(w *world) {
		w.login(w.byKey(), byCode(func() string { return "000000" }))
	}, Unknown},
	event.CodeClockSkew: {codes, func(w *world) {
		w.login(w.byKey(), byCode(w.codeOf(time.Now().Add(-3*time.Minute))))
	}, Unknown},
	event.CodeOlderThanServer: {codes, func(w *world) {
		w.login(w.byKey(), byCode(w.codeOf(time.Now())))
	}, Unknown},
	event.CodeReused: {codes, func(w *world) {
		next := time.Now().Add(30 * time.Second) // later than the daemon's start
		for range 2 {
			w.login(w.byKey(), byCode(w.codeOf(next)))
		}
	}, Unknown},
	event.CodeTriesExceeded: {codes, func(w *world) {
		for range 12 {
			w.login(w.byKey(), byCode(func() string { return "000000" }))
		}
	}, Unknown},
	event.MethodNotOffered: {nil, func(w *world) {
		w.peer((*daemontest.Peer).Exchange, func(p *daemontest.Peer) error {
			w.in.Listener.Spec.Authentication.AllowedMethods = []v1alpha1.AuthMethod{v1alpha1.AuthPassword}
			w.reload()
			m := append(daemontest.Userauth("acme", "publickey"), 0)
			return p.WritePacket(daemontest.AppendString(daemontest.AppendString(m, w.own.PublicKey().Type()), string(w.own.PublicKey().Marshal())))
		})
	}, Denied},
	event.ChangedDuringLogin: {codes, func(w *world) {
		w.login(w.byKey(), byCode(func() string {
			w.in.User.Spec.State = v1alpha1.UserSuspended
			w.reload()
			w.in.User.Spec.State = ""
			w.in.Users = []v1alpha1.SFTPUser{*w.in.User}
			return "000000"
		}))
	}, Unknown},
	event.MaxTriesReached: {nil, func(w *world) {
		var keys []ssh.Signer
		for range 13 { // 6 offers are free, and 6 are the tries
			k, _ := configtest.Key(w)
			keys = append(keys, k)
		}
		w.login(ssh.PublicKeys(keys...))
	}, Unknown},
	event.LoginGraceExceeded: {func(w *world) {
		w.adjust = func(dir *configtest.Dir) { dir.Listener.Authentication.LoginGraceSeconds = 1 }
	}, func(w *world) { w.peer((*daemontest.Peer).Exchange) }, Unknown},
	event.LoginAbandoned: {nil, func(w *world) {
		w.peer((*daemontest.Peer).Exchange, (*daemontest.Peer).CloseOrderly)
	}, Unknown},
	event.LoginPenalized:  {penalties, failUntil(event.LoginPenalized), Unknown},
	event.SourcePenalized: {penalties, failUntil(event.SourcePenalized), Unknown},
	event.NotConfigured:   {nil, nil, Unknown},
	event.NotAProxy:       {behind("10.0.0.0/8"), byKey, Unknown},
	event.ProxyHeader:     {behind("127.0.0.0/8"), byKey, Unknown},
	event.Startups:        {places(config.Startups{Begin: 1, DropPercent: 100, Full: 1}), twoPeers, Unknown},
	event.StartupsOfSource: {
		places(config.Startups{Begin: 50, DropPercent: 1, Full: 100, PerSource: 1}), twoPeers, Unknown,
	},
	event.TooMuchBeforeLogin: {nil, func(w *world) {
		w.peer((*daemontest.Peer).Exchange, func(p *daemontest.Peer) error {
			for range 100 {
				if err := p.WritePacket(daemontest.AppendString([]byte{2}, strings.Repeat("x", 30000))); err != nil { // SSH_MSG_IGNORE
					return err
				}
			}
			return nil
		})
	}, Unknown},
	event.ProtocolError: {nil, func(w *world) {
		w.peer(func(p *daemontest.Peer) error {
			_, err := io.WriteString(p, "SSH-2.0-x\r\n"+strings.Repeat("\x00", 64))
			return err
		})
	}, Unknown},
	event.NoCommonAlgorithm: {nil, func(w *world) {
		w.peer((*daemontest.Peer).Versions, func(p *daemontest.Peer) error { return p.SendKexInit("diffie-hellman-group1-sha1") })
	}, Unknown},
	event.ClientLeft: {nil, func(w *world) {
		w.peer((*daemontest.Peer).Versions, (*daemontest.Peer).CloseOrderly)
	}, Unknown},
	event.MaxConnections: {func(w *world) {
		w.adjust = func(dir *configtest.Dir) { dir.Listener.Limits.MaxConnections = 1 }
	}, twice, Unknown},
	event.MaxConnectionsOfUser: {func(w *world) { w.in.User.Spec.Limits.MaxConnections = new(int32(1)) }, twice, Unknown},
	event.Displaced: {func(w *world) {
		w.adjust = func(dir *configtest.Dir) { dir.Listener.Limits.MaxConnections = 1 }
	}, func(w *world) {
		w.peer((*daemontest.Peer).Versions)
		time.Sleep(1200 * time.Millisecond) // a place is guaranteed for a second
		w.peer((*daemontest.Peer).Versions)
	}, Unknown},
}

// further lists refusals for reasons that are in the other table as well, but for which why has to check something else.
var further = map[string]struct {
	reason event.Reason
	refusal
}{
	"a key of an SFTPKey, in a namespace that may use passwords only": {event.PasswordRequiredFirst, refusal{passwordsOnly, byKey, Denied}},
	"a key of an SFTPKey, and the method is not the user's": {event.PasswordRequiredFirst, refusal{func(w *world) {
		w.assign(nil, nil)
		w.methods(v1alpha1.AuthPassword)
	}, byKey, Denied}},
	"a stranger's key, in a namespace that may use passwords only": {event.KeyNotRegistered, refusal{passwordsOnly, func(w *world) {
		other, _ := configtest.Key(w)
		w.use(other.PublicKey())
		w.login(ssh.PublicKeys(other))
	}, Denied}},
	"a wrong password, in a namespace that may use passwords only": {event.WrongPassword, refusal{func(w *world) {
		passwordsOnly(w)
		byPassword(w)
	}, func(w *world) { w.login(ssh.Password("battery")) }, Denied}},
	"a key, in a namespace whose labels are unknown": {event.PasswordRequiredFirst, refusal{func(w *world) {
		passwordsOnly(w)
		labeled := v1alpha1.AllowedUsersRule{Name: "labeled", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesSelector}}
		rules := &w.in.Listener.Spec.AllowedUsers.Rules
		*rules = append([]v1alpha1.AllowedUsersRule{labeled}, *rules...)
		w.in.NamespaceLabels = nil
	}, byKey, Unknown}},
}

// passwordsOnly makes the key an SFTPKey's, in a namespace whose rule allows passwords only. The user names no key.
func passwordsOnly(w *world) {
	w.assign(nil, nil)
	w.in.Listener.Spec.AllowedUsers.Rules = []v1alpha1.AllowedUsersRule{{
		Name: "passwords", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesAll}, Methods: []v1alpha1.AuthMethod{v1alpha1.AuthPassword},
	}}
}

// byPassword asks about a wrong password.
func byPassword(w *world) {
	w.in.Method, w.in.Fingerprint, w.in.Key, w.in.Password = v1alpha1.AuthPassword, "", nil, []byte("battery")
}

func codes(w *world) { w.methods(v1alpha1.AuthPublicKey, v1alpha1.AuthTOTP) }

func penalties(w *world) { w.in.Listener.Spec.Sources.Penalties = v1alpha1.PenaltiesEnabled }

// failUntil fails to log in until the daemon refuses the login with a reason: as one user, or as many.
func failUntil(reason event.Reason) func(w *world) {
	return func(w *world) {
		for range 60 {
			if w.told(string(reason)) {
				return
			}
			other, _ := configtest.Key(w)
			w.login(ssh.PublicKeys(other))
		}
	}
}

func behind(network v1alpha1.Network) func(w *world) {
	return func(w *world) {
		w.in.Listener.Spec.ProxyProtocol = v1alpha1.ListenerProxyProtocol{Mode: v1alpha1.ProxyProtocolRequired, TrustedCIDRs: []v1alpha1.Network{network}}
	}
}

func places(s config.Startups) func(w *world) {
	return func(w *world) { w.adjust = func(dir *configtest.Dir) { dir.Listener.Startups = s } }
}

func twoPeers(w *world) {
	w.peer((*daemontest.Peer).Versions)
	w.peer((*daemontest.Peer).Versions)
}

func twice(w *world) {
	w.daemon.MustDial(w, "acme", w.byKey())
	w.login(w.byKey())
}

// elsewhere lists the refusals that require an unhealthy pod, with the test in which the daemon makes them. Here only the
// audit line is checked.
var elsewhere = map[event.Reason]string{
	event.PasswordQueueFull: "sftpd/auth TestPasswordQueueReason",
	event.AcceptFailed:      "sftpd/server TestOpenFilesOfAll",
	event.AuditLogBlocked:   "test/attack TestBlockedAuditStopsEverything",
	event.InternalError:     "sftpd/server TestPanicEndsOneConnection",
	event.ShuttingDown:      "sftpd/admission TestEnd",

	event.NamespaceConnections: "sftpd/server TestNumberOfANamespace",
	event.NamespaceStartups:    "sftpd/server TestShareOfANamespace",
}

// ends lists the reasons of events in or at the end of a session: they refuse no login.
var ends = []event.Reason{
	event.UserRemoved, event.KeyRemoved, event.PasswordChanged, event.TOTPChanged, event.SecondFactorRequired, event.MountsChanged,
	event.DrainTimeout, event.IdleTimeout, event.StorageUnavailable, event.ChannelRefused, event.RequestRefused, event.UnusedChannel,
	event.UnreadData, event.ClientNotReading, event.OpenFiles,
}

// TestRefusals: for each reason that a daemon has to refuse a login, a real daemon does so, with what the operator compiles
// from the objects; and why either finds that reason, or reports that it has not checked everything. With the log, why never
// says that the login is allowed.
func TestRefusals(t *testing.T) {
	for _, reason := range reasons(t) {
		r, live := refusals[reason]
		_, sick := elsewhere[reason]
		if kinds := count(live, sick, slices.Contains(ends, reason)); kinds != 1 {
			t.Errorf("reason %s is in %d of the tables of this test, it must be in one", reason, kinds)
		}
		if live || sick {
			t.Run(string(reason), func(t *testing.T) { testRefusal(t, reason, r) })
		}
	}
}

// TestFurtherRefusals: the same for what else makes a daemon refuse a login.
func TestFurtherRefusals(t *testing.T) {
	for name, r := range further {
		t.Run(name, func(t *testing.T) { testRefusal(t, r.reason, r.refusal) })
	}
}

func testRefusal(t *testing.T, reason event.Reason, r refusal) {
	w := newWorld(t)
	log := `{"time":"` + time.Now().UTC().Format(time.RFC3339Nano) + `","event":"connection_refused","source":"127.0.0.1:1","reason":"` + string(reason) + `"}`
	want := r.want
	switch {
	case r.login != nil:
		if r.objects != nil {
			r.objects(w)
		}
		w.start()
		r.login(w)
	case reason == event.NotConfigured:
		w.daemon = daemontest.StartUnconfigured(t, configtest.New(t))
		w.peer((*daemontest.Peer).Versions)
	default:
		w.in.Users, want = []v1alpha1.SFTPUser{*w.in.User}, Unknown
	}
	if w.daemon != nil {
		w.daemon.Eventually(t, "the daemon refuses with "+string(reason), func() bool { return w.told(string(reason)) })
		log = w.daemon.RawAudit()
	}
	w.in.Now = time.Now()

	w.in.Log = Log{Missing: "not read"}
	e := w.explain()
	if e.Verdict != want || want == Denied && e.Reason != reason {
		t.Errorf("the daemon refused with %s; why without the log: %s %q, want %s: %+v", reason, e.Verdict, e.Reason, want, e.Checks)
	}
	lines, err := Search(strings.NewReader(log), Asked{Username: "acme", Account: "team/acme", From: w.in.From})
	if err != nil {
		t.Fatal(err)
	}
	w.in.Log = Log{Lines: lines}
	e = w.explain()
	logged := strings.Contains(log, `"reason":"`+string(reason)+`"`)
	switch {
	case e.Verdict == Denied && e.Reason != reason && logged:
		t.Errorf("the daemon refused with %s; why with the log: %q: %+v", reason, e.Reason, e.Checks)
	case e.Verdict == OK && (logged || !slices.ContainsFunc(e.Checks, func(c Check) bool { return c.Result == Assumed })):
		t.Errorf("the daemon refused with %s; why with the log: allowed: %+v", reason, e.Checks)
	}
	t.Logf("%-26s daemon: refused; why without the log: %s; with it: %s %s", reason, want, e.Verdict, e.Reason)
	if reason.Meaning() == "" {
		t.Errorf("reason %s has no meaning in words", reason)
	}
}

func (w *world) explain() Explanation {
	w.Helper()
	e, err := Explain(w.Context(), w.in)
	if err != nil {
		w.Fatal(err)
	}
	return e
}

func count(list ...bool) (n int) {
	for _, b := range list {
		if b {
			n++
		}
	}
	return n
}

// reasons returns all constants of the type event.Reason.
func reasons(t *testing.T) (out []event.Reason) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../../../sftpd/event/reason.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value) // a constant string
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, event.Reason(value))
		}
		return true
	})
	if len(out) < 60 {
		t.Fatalf("only %d reasons were found", len(out))
	}
	return out
}
