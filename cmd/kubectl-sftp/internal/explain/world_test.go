package explain

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/compile"
	"github.com/sftp-operator/sftp-operator/controllers/credentials"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

const secretPassword = "correct horse battery"

// world is a listener with one user, acme, who logs in with its key or its password, and a daemon with the configuration that
// the operator compiles from both.
type world struct {
	*testing.T
	in      Input
	objects secrets
	own     ssh.Signer // acme's key
	phone   totp.Key
	ca      ssh.Signer
	// compiledAt is when the operator compiled, if not now.
	compiledAt time.Time
	// adjust changes the daemon's configuration in ways that no object can express.
	adjust func(dir *configtest.Dir)

	dir    *configtest.Dir
	daemon *daemontest.Daemon
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, phone: totp.Generate(), compiledAt: time.Now(), adjust: func(*configtest.Dir) {}}
	w.own, _ = configtest.Key(t)
	w.ca, _ = configtest.Key(t)
	w.objects = secrets{"password": {"password": secretPassword}, "totp": {"totp": w.phone.Secret()}}
	keyring = nil
	w.in, _ = good(t)
	w.in.Source, w.in.Now, w.in.From = w.objects, time.Now(), netip.MustParseAddr("127.0.0.1")
	w.use(w.own.PublicKey())
	w.auth().AuthorizedKeys = []string{configtest.Line(w.own.PublicKey())}
	w.in.User.Status.Keys = nil
	w.in.Listener.Spec.Sources.Penalties = v1alpha1.PenaltiesDisabled
	return w
}

func (w *world) auth() *v1alpha1.UserAuthentication { return &w.in.User.Spec.Authentication }

// use sets the key to ask about.
func (w *world) use(k ssh.PublicKey) { w.in.Key, w.in.Fingerprint = k, ssh.FingerprintSHA256(k) }

// methods are the user's only combination.
func (w *world) methods(steps ...v1alpha1.AuthMethod) {
	w.auth().Methods = []v1alpha1.MethodCombination{{Steps: steps}}
	if slices.Contains(steps, v1alpha1.AuthTOTP) {
		w.auth().TOTPSecretRef = &v1alpha1.TOTPSecretReference{Name: "totp"}
	}
}

// assign makes the key an SFTPKey's, with restrictions.
func (w *world) assign(begin, end *metav1.Time) {
	w.auth().AuthorizedKeys = nil
	k := assigned("acme", configtest.Line(w.own.PublicKey()), end)
	k.Spec.NotBefore = begin
	keyring = []v1alpha1.SFTPKey{k}
}

// certify makes the user log in with a certificate of a listener's CA.
func (w *world) certify(change func(c *ssh.Certificate)) {
	l := w.in.Listener
	l.Spec.Authentication.TrustedUserCAs = append(l.Spec.Authentication.TrustedUserCAs, configtest.Line(w.ca.PublicKey()))
	w.auth().Certificates = v1alpha1.CertificatesAccepted
	c := configtest.Certificate(w, w.ca, ssh.UserCert, w.own.PublicKey(), "acme")
	change(c)
	configtest.Certify(w, w.ca, c)
	w.in.Certificate = c
}

// start compiles the objects as the operator does, and starts a daemon with the result.
func (w *world) start() {
	w.Helper()
	w.dir = configtest.New(w)
	w.write()
	w.daemon = daemontest.Start(w, w.dir)
}

// reload compiles again.
func (w *world) reload() {
	w.Helper()
	w.write()
	w.daemon.Reload(w, w.dir)
}

func (w *world) write() {
	w.Helper()
	l, u := w.in.Listener, w.in.User
	policy := render.PolicyAt(l, w.compiledAt)
	trust, _ := render.ResolveTrust(l, policy.Policy, func(v1alpha1.SecretFileReference) render.SecretFile { return render.SecretFile{NoSecret: true} }, nil)
	volume := w.dir.Volume()
	out := compile.Compile(compile.Input{
		Listener: l, Users: []*v1alpha1.SFTPUser{u}, Trust: trust, Now: w.compiledAt,
		Resolve:    w.resolve,
		VolumePath: func(string) string { return volume },
	}, nil)
	hostKeys := w.dir.HostKeys
	w.dir.Listener, w.dir.Users = out.Settings, nil
	w.dir.Listener.Shutdown = config.Shutdown{DrainTimeoutSeconds: 1}
	w.dir.HostKeys = hostKeys
	for _, user := range out.Users {
		if user.Accepted() && user.Credentials.CanLogIn() {
			w.dir.Users = append(w.dir.Users, render.UserRecord(l, user.Decision, user.Credentials))
		}
	}
	w.adjust(w.dir)
	w.in.Users = []v1alpha1.SFTPUser{*u}
}

func (w *world) resolve(u *v1alpha1.SFTPUser) credentials.Credentials {
	return credentials.Resolve(u, key.NewKeyring(keyring), func(ref credentials.Ref) credentials.Entry {
		secret, err := w.objects.Secret(w.Context(), ref.Namespace, ref.Secret)
		if err != nil {
			w.Fatal(err)
		}
		e, err := credentials.Read(ref, secret, func(text []byte, source string) (*config.Password, error) {
			hash, err := password.New(text)
			return &config.Password{Hash: hash, Source: source}, err
		})
		if err != nil {
			w.Fatal(err)
		}
		return e
	})
}

// login logs in with methods, whether or not that succeeds. The session stays until the test ends.
func (w *world) login(methods ...ssh.AuthMethod) {
	w.Helper()
	if c, err := w.daemon.Dial("acme", methods...); err == nil {
		w.Cleanup(func() { _ = c.Close() })
	}
}

// byKey uses the user's key.
func (w *world) byKey() ssh.AuthMethod { return ssh.PublicKeys(w.own) }

// byCode answers each question with a code.
func byCode(code func() string) ssh.AuthMethod {
	return ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		out := make([]string, len(questions))
		for i := range out {
			out[i] = code()
		}
		return out, nil
	})
}

// codeOf returns the code of a time.
func (w *world) codeOf(at time.Time) func() string {
	return func() string { return w.phone.Code(totp.Step(at)) }
}

// peer is a connection that sends arbitrary messages up to the login.
func (w *world) peer(steps ...func(*daemontest.Peer) error) {
	w.Helper()
	p, err := daemontest.NewPeer(w.daemon.Addr, "")
	if errors.Is(err, syscall.ECONNRESET) {
		w.Logf("peer: %v", err) // the daemon may refuse a connection before connect has returned
		return
	}
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { p.Close() })
	for _, do := range steps {
		if err := do(p); err != nil {
			w.Logf("peer: %v", err)
			break
		}
	}
}

// told reports whether the daemon has refused something with a reason, according to its audit log or else its metrics.
func (w *world) told(reason string) bool {
	if strings.Contains(w.daemon.RawAudit(), `"reason":"`+reason+`"`) {
		return true
	}
	_, metrics := w.daemon.Get(w, "/metrics")
	for line := range strings.Lines(metrics) {
		if strings.Contains(line, `reason="`+reason+`"`) && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
			return true
		}
	}
	return false
}
