package explain

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/key"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
)

var now = time.Date(2026, time.November, 25, 12, 0, 0, 0, time.UTC)

// secrets is a Source of Secrets with one entry each; one whose content is "denied" may not be read.
type secrets map[string]map[string]string

func (s secrets) Secret(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	data, ok := s[name]
	switch {
	case name == "denied":
		return nil, &DeniedError{Kind: "Secret", Namespace: namespace, Name: name}
	case !ok:
		return nil, ErrNotFound
	}
	out := &corev1.Secret{Data: map[string][]byte{}}
	for k, v := range data {
		out.Data[k] = []byte(v)
	}
	return out, nil
}

func (s secrets) Keyring(context.Context, string) (*key.Keyring, error) {
	if _, ok := s["no keyring"]; ok {
		return nil, &DeniedError{Kind: "SFTPKey", Namespace: "team"}
	}
	return key.NewKeyring(keyring), nil
}

// keyring are the SFTPKeys of a test's namespace.
var keyring []v1alpha1.SFTPKey

func newKey(t *testing.T) (ssh.PublicKey, string) {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func ready(types ...string) []metav1.Condition {
	var out []metav1.Condition
	for _, t := range types {
		out = append(out, metav1.Condition{Type: t, Status: metav1.ConditionTrue, Reason: t})
	}
	return out
}

// good is a login that works, by key and by password.
func good(t *testing.T) (in Input, line string) {
	t.Helper()
	key, line := newKey(t)
	fp := ssh.FingerprintSHA256(key)
	u := &v1alpha1.SFTPUser{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "acme", UID: "1"},
		Spec: v1alpha1.SFTPUserSpec{
			ListenerRef: v1alpha1.ListenerReference{Name: "partners"},
			Authentication: v1alpha1.UserAuthentication{
				AuthorizedKeys:    []string{line},
				PasswordSecretRef: &v1alpha1.PasswordSecretReference{Name: "password"},
			},
		},
		Status: v1alpha1.SFTPUserStatus{Conditions: ready("Accepted", "ResolvedRefs", "Ready"), Username: "acme", Keys: []v1alpha1.UserKeyStatus{{Fingerprint: fp, State: v1alpha1.KeyActive, Source: "secret/keys"}}},
	}
	l := &v1alpha1.SFTPListener{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "partners"},
		Spec:       v1alpha1.SFTPListenerSpec{Volumes: []v1alpha1.ListenerVolume{{Name: "data"}}, CryptoPolicy: v1alpha1.CryptoModern2026},
		Status:     v1alpha1.SFTPListenerStatus{Conditions: ready("Ready")},
	}
	return Input{
		User: u, Listener: l, Users: []v1alpha1.SFTPUser{*u}, AllUsers: true, NamespaceLabels: map[string]string{}, Now: now,
		Source: secrets{"password": {"password": "correct horse battery"}},
		From:   netip.MustParseAddr("192.0.2.7"), Method: v1alpha1.AuthPublicKey, Fingerprint: fp, Key: key,
	}, line
}

func TestExplain(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(in *Input, line string)
		verdict Result
		text    string // of the check that decides
	}{
		"all is well": {func(*Input, string) {}, OK, ""},
		"password":    {func(in *Input, _ string) { in.Method = v1alpha1.AuthPassword }, Unknown, "pass it with --password-stdin"},
		"no method":   {func(in *Input, _ string) { in.Method = "" }, Unknown, "none was given"},
		"the right password": {func(in *Input, _ string) {
			in.Method, in.Password = v1alpha1.AuthPassword, []byte("correct horse battery")
		}, OK, ""},
		"a wrong password": {func(in *Input, _ string) {
			in.Method, in.Password = v1alpha1.AuthPassword, []byte("battery")
		}, Denied, "has a different one"},
		"the hash of the right password": {func(in *Input, _ string) {
			in.Method, in.Password = v1alpha1.AuthPassword, []byte("secret")
			in.User.Spec.Authentication.PasswordSecretRef.Format = v1alpha1.PasswordHash
			in.Source = secrets{"password": {"password": hashOf("secret")}}
		}, OK, ""},
		"the hash of another password": {func(in *Input, _ string) {
			in.Method, in.Password = v1alpha1.AuthPassword, []byte("secret")
			in.User.Spec.Authentication.PasswordSecretRef.Format = v1alpha1.PasswordHash
			in.Source = secrets{"password": {"password": hashOf("other")}}
		}, Denied, "has a different one"},
		"no listener": {func(in *Input, _ string) { in.Listener, in.NoListener = nil, true }, Denied, "does not exist"},
		"no address":  {func(in *Input, _ string) { in.From = netip.Addr{} }, Unknown, "use --from"},
		"no address, and networks of the user": {func(in *Input, _ string) {
			in.From, in.User.Spec.AllowedCIDRs = netip.Addr{}, []string{"192.0.2.0/24"}
		}, Unknown, "allows only 192.0.2.0/24; give --from"},
		"no address, and networks of the listener": {func(in *Input, _ string) {
			in.From, in.Listener.Spec.AllowedCIDRs = netip.Addr{}, []string{"192.0.2.0/24"}
		}, Unknown, "allows only 192.0.2.0/24; give --from"},
		"the only key is damaged": {func(in *Input, _ string) {
			in.User.Spec.Authentication = v1alpha1.UserAuthentication{AuthorizedKeys: []string{"ssh-ed25519 AAAA"}}
			in.User.Status.Keys = nil
		}, Denied, "no credential with which it can log in; InvalidPublicKey"},
		"a log that could not be read": {func(in *Input, _ string) { in.Log.Missing = "forbidden" }, Unknown, "could not be read: forbidden"},
		"behind a proxy": {func(in *Input, _ string) {
			in.Listener.Spec.ProxyProtocol = v1alpha1.ListenerProxyProtocol{Mode: v1alpha1.ProxyProtocolRequired, TrustedCIDRs: []string{"10.0.0.0/8"}}
		}, Unknown, "must come from a proxy in 10.0.0.0/8"},
		"behind a proxy that was seen": {func(in *Input, _ string) {
			in.Listener.Spec.ProxyProtocol = v1alpha1.ListenerProxyProtocol{Mode: v1alpha1.ProxyProtocolRequired, TrustedCIDRs: []string{"10.0.0.0/8"}}
			in.Log.Lines = []Line{{Event: "login", Time: now.Add(-time.Hour)}}
		}, OK, ""},
		"a penalty a minute ago": {func(in *Input, _ string) {
			in.Log.Lines = []Line{{Event: "connection_refused", Reason: "source_penalized", Time: now.Add(-time.Minute)}}
		}, Denied, "denied a moment ago"},
		"a penalty an hour ago": {func(in *Input, _ string) {
			in.Log.Lines = []Line{{Event: "connection_refused", Reason: "source_penalized", Time: now.Add(-time.Hour)}}
		}, OK, ""},
		"a penalty, and a login after it": {func(in *Input, _ string) {
			in.Log.Lines = []Line{
				{Event: "login", Time: now.Add(-time.Minute)},
				{Event: "connection_refused", Reason: "source_penalized", Time: now.Add(-2 * time.Minute)},
			}
		}, OK, ""},
		"a refusal that nothing explains anymore": {func(in *Input, _ string) {
			in.Log.Lines = []Line{{Event: "login_refused", Reason: "key_expired", Time: now.Add(-time.Minute)}}
		}, Unknown, "no longer find that reason"},
		"another key was offered": {func(in *Input, _ string) {
			in.Log.Lines = []Line{{Event: "login_refused", Reason: "key_not_registered", KeysOffered: []string{"SHA256:other"}, Time: now.Add(-time.Minute)}}
		}, Unknown, "the client offered SHA256:other"},

		"a revoked key": {func(in *Input, _ string) {
			in.Listener.Spec.RevokedKeys = []v1alpha1.RevokedKey{{Fingerprint: in.Fingerprint}}
		}, Denied, "key_revoked"},
		"a key that a list revokes": {func(in *Input, _ string) {
			in.User.Status.Keys = []v1alpha1.UserKeyStatus{{Fingerprint: in.Fingerprint, State: v1alpha1.KeyRevoked}}
		}, Denied, "key_revoked"},
		"another key is revoked": {func(in *Input, _ string) {
			_, line := newKey(t)
			in.Listener.Spec.RevokedKeys = []v1alpha1.RevokedKey{{PublicKey: line}}
		}, OK, ""},
		"another key, and certificates": {func(in *Input, _ string) {
			key, _ := newKey(t)
			in.Key, in.Fingerprint = key, ssh.FingerprintSHA256(key)
			in.User.Spec.Authentication.Certificates = v1alpha1.CertificatesAccepted
			_, ca := newKey(t)
			in.Listener.Spec.Authentication.TrustedUserCAs = []string{ca}
		}, Unknown, "certificate of one of the listener's trustedUserCAs would also work"},
		"only certificates": {func(in *Input, _ string) {
			in.User.Spec.Authentication = v1alpha1.UserAuthentication{Certificates: v1alpha1.CertificatesAccepted}
			in.User.Status.Keys, in.Method = nil, ""
			_, ca := newKey(t)
			in.Listener.Spec.Authentication.TrustedUserCAs = []string{ca}
			in.Users = []v1alpha1.SFTPUser{*in.User}
		}, Unknown, "none was given"},
		"a password that is too short": {func(in *Input, _ string) {
			in.Method, in.Listener.Spec.Authentication.PasswordPolicy.MinLength = v1alpha1.AuthPassword, new(int32(64))
		}, Denied, "fewer than 64 characters"},

		"suspended": {func(in *Input, _ string) { in.User.Spec.State = v1alpha1.UserSuspended }, Denied, "Suspended"},
		"expired": {func(in *Input, _ string) {
			in.User.Spec.ExpirationTime = &metav1.Time{Time: now.Add(-time.Hour)}
		}, Denied, "expired at 2026-11-25T11:00:00Z"},
		"another namespace": {func(in *Input, _ string) { in.Listener.Namespace = "files" }, Denied, "does not admit users of namespace"},
		"a namespace whose labels are unknown": {func(in *Input, _ string) {
			in.NamespaceLabels = nil
			in.Listener.Spec.AllowedUsers.Rules = []v1alpha1.AllowedUsersRule{
				{Name: "tenants", Namespaces: v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesSelector}},
			}
		}, Unknown, "those of team could not be read"},
		"a conflict that only the operator sees": {func(in *Input, _ string) {
			in.AllUsers = false
			in.User.Status.Conditions[0] = metav1.Condition{Type: "Accepted", Status: metav1.ConditionFalse, Reason: "UsernameConflict", Message: "taken"}
		}, Unknown, "UsernameConflict: taken"},

		"a name that an older user asks for, too": {func(in *Input, _ string) {
			older := in.User.DeepCopy()
			older.Name, older.UID, older.Spec.Username, older.Status = "older", "2", "acme", v1alpha1.SFTPUserStatus{}
			in.User.CreationTimestamp = metav1.Time{Time: now}
			in.Users = append(in.Users, *older)
		}, OK, ""},

		"a listener that the caller may not read": {func(in *Input, _ string) {
			in.Listener, in.From = nil, netip.Addr{}
		}, Unknown, "its networks, proxies and crypto policy are not checked"},
		"a listener that the caller may not read, and an address": {func(in *Input, _ string) {
			in.Listener = nil
		}, Unknown, "you may not read the listener"},
		"a listener that the caller may not read, and that refuses": {func(in *Input, _ string) {
			in.Listener = nil
			in.User.Status.Conditions[0] = metav1.Condition{Type: "Accepted", Status: metav1.ConditionFalse, Reason: "ListenerFull", Message: "full"}
		}, Denied, "the operator said: ListenerFull: full"},
		"a listener that the caller may not read, before the operator": {func(in *Input, _ string) {
			in.Listener, in.User.Status.Conditions = nil, nil
		}, Unknown, "the operator said: nothing"},

		"a change that is not delivered": {func(in *Input, _ string) { in.User.Generation = 1 }, Unknown, "latest change"},
		"a listener without pods": {func(in *Input, _ string) {
			in.Listener.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: "PodsUnavailable", Message: "no pod"}}
		}, Unknown, "PodsUnavailable: no pod"},

		"outside of the listener's networks": {func(in *Input, _ string) { in.Listener.Spec.AllowedCIDRs = []string{"203.0.113.0/24"} }, Denied, "of the listener does not contain 192.0.2.7"},
		"outside of the user's networks":     {func(in *Input, _ string) { in.User.Spec.AllowedCIDRs = []string{"203.0.113.0/24"} }, Denied, "of the user does not contain 192.0.2.7"},
		"networks that cannot be compared": {func(in *Input, _ string) {
			in.User.Spec.AllowedCIDRs = []string{"192.0.2.0/24"}
			in.Listener.Spec.Service.ExternalTrafficPolicy = v1alpha1.TrafficCluster
		}, Unknown, "addresses of nodes"},
		"outside of the key's networks": {func(in *Input, line string) {
			in.User.Spec.Authentication.AuthorizedKeys = []string{`from="203.0.113.0/24" ` + line}
		}, Denied, "from= of the key does not contain 192.0.2.7"},
		"a key's networks and no address": {func(in *Input, line string) {
			in.User.Spec.Authentication.AuthorizedKeys = []string{`from="192.0.2.0/24" ` + line}
			in.From = netip.Addr{}
		}, Unknown, "use --from"},
		"inside of all networks": {func(in *Input, line string) {
			in.User.Spec.Authentication.AuthorizedKeys = []string{`from="192.0.2.0/24" ` + line}
			in.User.Spec.AllowedCIDRs = []string{"192.0.2.0/25"}
			in.Listener.Spec.AllowedCIDRs = []string{"192.0.0.0/16"}
		}, OK, ""},

		"a method that the user lacks": {func(in *Input, _ string) {
			in.User.Spec.Authentication.PasswordSecretRef, in.Method = nil, v1alpha1.AuthPassword
		}, Denied, "cannot log in with Password, only by: PublicKey"},
		"a password before the key": {func(in *Input, _ string) {
			in.User.Spec.Authentication.Methods = []v1alpha1.MethodCombination{{Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey, v1alpha1.AuthPassword}}}
			in.Method, in.Fingerprint = v1alpha1.AuthPassword, ""
		}, Denied, "a client without a key cannot continue"},
		"both, and no password": {func(in *Input, _ string) {
			in.User.Spec.Authentication.Methods = []v1alpha1.MethodCombination{{Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey, v1alpha1.AuthPassword}}}
			in.Source = secrets{}
		}, Denied, `Secret "password" does not exist`},

		"a key and a code": {func(in *Input, _ string) {
			in.User.Spec.Authentication.TOTPSecretRef = &v1alpha1.TOTPSecretReference{Name: "totp"}
			in.Source = secrets{"totp": {"totp": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}}
		}, Unknown, "kubectl sftp check --code tries a code"},
		"a code, and a secret that is too short": {func(in *Input, _ string) {
			in.User.Spec.Authentication.TOTPSecretRef = &v1alpha1.TOTPSecretReference{Name: "totp"}
			in.Source = secrets{"totp": {"totp": "GEZDGNBVGY3TQOJQ"}}
		}, Denied, "InvalidTOTPSecret: "},
		"a code, and a secret that may not be read": {func(in *Input, _ string) {
			in.User.Spec.Authentication.TOTPSecretRef = &v1alpha1.TOTPSecretReference{Name: "denied"}
		}, Unknown, "you may not read Secret team/denied"},
		"a code on one way of two": {func(in *Input, _ string) {
			in.User.Spec.Authentication.Methods = []v1alpha1.MethodCombination{
				{Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey}}, {Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPassword, v1alpha1.AuthTOTP}},
			}
			in.User.Spec.Authentication.TOTPSecretRef = &v1alpha1.TOTPSecretReference{Name: "denied"}
		}, OK, ""},
		"weaker than the listener": {func(in *Input, _ string) {
			in.Listener.Spec.Authentication.RequiredMethods = []v1alpha1.MethodCombination{{Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey, v1alpha1.AuthPassword}}}
			in.User.Spec.Authentication.Methods = []v1alpha1.MethodCombination{{Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey}}}
		}, Denied, "MethodsTooWeak: "},

		"a key that is not registered": {func(in *Input, _ string) {
			in.User.Spec.Authentication.AuthorizedKeys, in.User.Status.Keys = nil, nil
			in.User.Spec.Authentication.AuthorizedKeysSecretRefs = []v1alpha1.AuthorizedKeysSecretReference{{Name: "keys"}}
			in.Source = secrets{"keys": {"authorized_keys": "ssh-ed25519 AAAA damaged"}}
		}, Denied, `InvalidPublicKey: Secret "keys"`},
		"a key in a Secret": {func(in *Input, line string) {
			in.User.Spec.Authentication.AuthorizedKeys = nil
			in.User.Spec.Authentication.AuthorizedKeysSecretRefs = []v1alpha1.AuthorizedKeysSecretReference{{Name: "denied"}, {Name: "keys"}}
			in.Source = secrets{"keys": {"authorized_keys": line}}
		}, OK, ""},
		"a key in a Secret that the caller may not read": {func(in *Input, _ string) {
			in.User.Spec.Authentication.AuthorizedKeys = nil
			in.User.Spec.Authentication.AuthorizedKeysSecretRefs = []v1alpha1.AuthorizedKeysSecretReference{{Name: "denied"}}
		}, Unknown, "you may not read Secret team/denied"},
		"an assigned key whose time is over": {func(in *Input, line string) {
			in.User.Spec.Authentication.AuthorizedKeys = nil
			keyring = []v1alpha1.SFTPKey{assigned("acme", line, &metav1.Time{Time: now.Add(-time.Hour)})}
		}, Denied, "the key expired at 2026-11-25T11:00:00Z"},
		"an assigned key": {func(in *Input, line string) {
			in.User.Spec.Authentication.AuthorizedKeys = nil
			keyring = []v1alpha1.SFTPKey{assigned("acme", line, &metav1.Time{Time: now.Add(time.Hour)})}
		}, OK, ""},
		"a key that is assigned to another user": {func(_ *Input, line string) {
			keyring = []v1alpha1.SFTPKey{assigned("globex", line, nil)}
		}, Denied, `is assigned to SFTPUser "globex"`},
		"SFTPKeys that the caller may not list, and a key that the status calls expired": {func(in *Input, _ string) {
			in.Source = secrets{"no keyring": nil}
			in.User.Status.Keys[0].State = v1alpha1.KeyExpired
		}, Denied, "is Expired, according to the status"},
		"SFTPKeys that the caller may not list": {func(in *Input, _ string) {
			in.Source = secrets{"no keyring": nil}
		}, Unknown, "you may not list the SFTPKeys of namespace team"},
		"an inline key, with networks, and SFTPKeys that the caller may not list": {func(in *Input, line string) {
			in.Source = secrets{"no keyring": nil}
			in.User.Status.Keys[0].Source = "inline"
			in.User.Spec.Authentication.AuthorizedKeys = []string{`from="203.0.113.0/24" ` + line}
		}, Denied, "from= of the key does not contain 192.0.2.7"},
		"no key to look for": {func(in *Input, _ string) { in.Fingerprint, in.Key = "", nil }, Unknown, "no key was given"},
		"a type that the policy lacks": {func(in *Input, _ string) {
			in.Listener.Status.CryptoPolicy = v1alpha1.CryptoStrict2026
			in.Key = curveKey{in.Key}
		}, Denied, "crypto policy Strict2026 does not allow keys of type ecdsa-sha2-nistp256"},
		"a type that no policy has": {func(in *Input, _ string) { in.Key = dsaKey{in.Key} }, Denied, "keys of type ssh-dss are not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			keyring = nil
			in, line := good(t)
			tc.change(&in, line)
			in.Users[0] = *in.User
			e, err := Explain(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if e.Verdict != tc.verdict {
				t.Errorf("%s, want %s: %+v", e.Verdict, tc.verdict, e.Checks)
			}
			found := tc.text == ""
			for _, c := range e.Checks {
				found = found || c.Result == tc.verdict && strings.Contains(c.Text, tc.text)
			}
			if !found {
				t.Errorf("no check says %q: %+v", tc.text, e.Checks)
			}
		})
	}
}

func hashOf(text string) string {
	hash, err := password.New([]byte(text))
	if err != nil {
		panic(err)
	}
	return hash
}

// assigned is an SFTPKey that assigns a key.
func assigned(user, line string, end *metav1.Time) v1alpha1.SFTPKey {
	return v1alpha1.SFTPKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: user + "-2026"},
		Spec: v1alpha1.SFTPKeySpec{
			Usage: v1alpha1.KeyUsageClient, Source: v1alpha1.KeyPublicKey, PublicKey: line,
			UserRef: &v1alpha1.LocalUserReference{Name: user}, ExpirationTime: end,
		},
	}
}

type (
	curveKey struct{ ssh.PublicKey }
	dsaKey   struct{ ssh.PublicKey }
)

func (curveKey) Type() string { return ssh.KeyAlgoECDSA256 }
func (dsaKey) Type() string   { return "ssh-dss" }

const auditLog = `{"time":"2026-11-25T11:00:03Z","event":"login_refused","result":"refused","source":"192.0.2.7:50000","user":"acme","account":"team/acme","methods":["Password"],"reason":"wrong_password"}
{"time":"2026-11-25T11:00:01Z","event":"login","result":"ok","source":"[::ffff:192.0.2.7]:50000","user":"acme","account":"team/acme","methods":["PublicKey"]}
{"time":"2026-11-25T11:00:02Z","event":"connection_refused","result":"refused","source":"192.0.2.7:50001","reason":"no_common_algorithm"}
{"time":"2026-11-25T11:00:04Z","event":"connection_refused","result":"refused","source":"192.0.2.0/24","reason":"login_penalized","count":7}
{"time":"2026-11-25T11:00:05Z","event":"connection_refused","result":"refused","source":"198.51.100.1:1","reason":"displaced"}
{"time":"2026-11-25T11:00:06Z","event":"login_refused","result":"refused","source":"198.51.100.1:1","user":"acme","reason":"unknown_user"}
{"time":"2026-11-25T11:00:07Z","event":"login","result":"ok","source":"192.0.2.7:50002","user":"globex","account":"team/globex"}
{"time":"2026-11-25T11:00:08Z","event":"transfer","result":"ok","source":"192.0.2.7:50002","user":"acme","account":"team/acme"}
{"level":"info","msg":"starting"}
no JSON
`

func TestSearch(t *testing.T) {
	for name, tc := range map[string]struct {
		from string
		last int
		want string
	}{
		"all":        {"", 10, "login login_refused:wrong_password login_refused:unknown_user"},
		"one client": {"192.0.2.7", 10, "login connection_refused:no_common_algorithm login_refused:wrong_password connection_refused:login_penalized"},
		"the latest": {"192.0.2.7", 1, "connection_refused:login_penalized"},
		"no client":  {"203.0.113.1", 10, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := Asked{Username: "acme", Account: "team/acme"}
			if tc.from != "" {
				a.From = netip.MustParseAddr(tc.from)
			}
			lines, err := Search(strings.NewReader(auditLog), a)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range Last(lines, tc.last) {
				s := l.Event
				if l.Reason != "" {
					s += ":" + l.Reason
					if l.Meaning == "" {
						t.Errorf("reason %s has no meaning", l.Reason)
					}
				}
				got = append(got, s)
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}
