package relay

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/delivery"
)

const key = "0123456789abcdef0123456789abcdef"

// input returns that of a listener with one sink.
func input(t *testing.T, sink, policy string, secrets map[string]Secret) Input {
	t.Helper()
	l := &v1alpha1.SFTPListener{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "partners"}}
	if err := yaml.UnmarshalStrict([]byte("events: {sinks: ["+sink+"]}"), &l.Spec); err != nil {
		t.Fatal(err)
	}
	p, err := platform.Parse([]byte(policy))
	if err != nil {
		t.Fatal(err)
	}
	return Input{Listener: l, Platform: p, Key: key, Secret: func(name string) Secret {
		if s, ok := secrets[name]; ok {
			return s
		}
		return Secret{Missing: true}
	}}
}

func TestCompose(t *testing.T) {
	certificate, private := pair(t)
	secrets := map[string]Secret{
		"token": {Data: map[string][]byte{"token": []byte("hunter2\n"), "lines": []byte("hunter2\nmore"), "empty": {}, "bytes": {0x80, 0xff, 'h', 'u', 'n', 't', 'e', 'r', '2'}, "long": make([]byte, delivery.MaxCredential+1)}},
		"tls":   {Data: map[string][]byte{"tls.crt": certificate, "tls.key": private}},
		"large": {Data: map[string][]byte{"tls.crt": certificate, "tls.key": make([]byte, maxPrivate+1)}},
		"mixed": {Data: map[string][]byte{"tls.crt": certificate, "tls.key": []byte("hunter2")}},
		"away":  {Failure: "the API server does not answer"},
	}
	const hosts = "bounds: {events: {hosts: [events.example.com, broker.knative.svc], networks: [10.20.0.0/16]}}"
	for name, c := range map[string]struct {
		sink, policy string
		reason, says string
		check        func(delivery.Sink) bool
	}{
		"a Service": {sink: "{name: a, serviceRef: {name: receiver, port: 8080}}", check: func(s delivery.Sink) bool {
			return s.URL == "http://receiver.team.svc:8080/" && s.Reach == delivery.ReachService && s.TimeoutSeconds == 30 && s.GiveUpSeconds == 86400 &&
				s.Format == delivery.FormatStructured && s.Networks == nil
		}},
		"a Service with TLS": {
			sink: "{name: a, serviceRef: {name: receiver, port: 8443, scheme: HTTPS, path: '/x?y=1'}, format: Binary, timeoutSeconds: 5, giveUpAfterSeconds: 60}",
			check: func(s delivery.Sink) bool {
				return s.URL == "https://receiver.team.svc:8443/x?y=1" && s.Format == delivery.FormatBinary && s.TimeoutSeconds == 5 && s.GiveUpSeconds == 60
			},
		},
		"the URL of a Service of the namespace": {
			sink: "{name: a, url: 'http://receiver.team.svc.cluster.local/x'}", check: func(s delivery.Sink) bool { return s.Reach == delivery.ReachService },
		},
		"that of another one": {
			sink: "{name: a, url: 'http://receiver.other.svc/x'}", reason: v1alpha1.ReasonPlatformPolicy,
			says: `Sink "a": spec.events.sinks[a].url must not have the host receiver.other.svc: the platform allows none, and Services of the listener's own namespace (bounds.events.hosts)`,
		},
		"that of another one, allowed": {
			sink: "{name: a, url: 'http://broker.knative.svc/team'}", policy: hosts, check: func(s delivery.Sink) bool { return s.Reach == delivery.ReachService },
		},
		"a host without a policy": {sink: "{name: a, url: 'https://events.example.com'}", reason: v1alpha1.ReasonPlatformPolicy, says: "(bounds.events.hosts)"},
		"a host": {sink: "{name: a, url: 'https://events.example.com/sftp'}", policy: hosts, check: func(s delivery.Sink) bool {
			return s.Reach == delivery.ReachPublic && s.URL == "https://events.example.com/sftp" && len(s.Networks) == 1
		}},
		"another host": {sink: "{name: a, url: 'https://evil.example.com/sftp'}", policy: hosts, reason: v1alpha1.ReasonPlatformPolicy, says: "evil.example.com"},
		"users": {
			sink:  "{name: a, serviceRef: {name: r, port: 1}, users: [{name: acme}, {namespace: other}, {namespace: other, name: acme}]}",
			check: func(s delivery.Sink) bool { return strings.Join(s.Users, " ") == "team/acme other/* other/acme" },
		},
		"users by labels": { // the pods choose; the relay knows only the namespaces
			sink:  "{name: a, serviceRef: {name: r, port: 1}, users: [{selector: {matchLabels: {x: y}}}, {namespace: other, selector: {matchLabels: {x: y}}}, {namespace: other, selector: {matchLabels: {x: z}}}]}",
			check: func(s delivery.Sink) bool { return strings.Join(s.Users, " ") == "team/* other/*" },
		},
		"invalid labels": {
			sink: "{name: a, serviceRef: {name: r, port: 1}, users: [{selector: {matchLabels: {'a b': y}}}]}", reason: v1alpha1.ReasonInvalidEventSink,
			says: "one of its user selectors is invalid",
		},
		"a filter":            {sink: `{name: a, serviceRef: {name: r, port: 1}, filter: "event.data.path.endsWith('.csv')"}`, check: func(s delivery.Sink) bool { return s.Filter != "" }},
		"a filter that fails": {sink: `{name: a, serviceRef: {name: r, port: 1}, filter: "path"}`, reason: v1alpha1.ReasonInvalidEventSink, says: "undeclared reference to 'path'"},
		"a token":             {sink: "{name: a, serviceRef: {name: r, port: 1}, authentication: {bearerSecretRef: {name: token, key: token}}}", check: func(s delivery.Sink) bool { return s.Bearer == "hunter2" }},
		"a signature":         {sink: "{name: a, serviceRef: {name: r, port: 1}, authentication: {hmacSecretRef: {name: token, key: token}}}", check: func(s delivery.Sink) bool { return s.HMAC == "hunter2" }},
		"a certificate": {
			sink: "{name: a, serviceRef: {name: r, port: 1, scheme: HTTPS}, authentication: {clientCertificateSecretRef: {name: tls}}}",
			check: func(s delivery.Sink) bool {
				return s.ClientCertificate == string(certificate) && s.ClientKey == string(private)
			},
		},
		"no Secret": {
			sink: "{name: a, serviceRef: {name: r, port: 1}, authentication: {bearerSecretRef: {name: none, key: token}}}", reason: v1alpha1.ReasonSecretNotFound,
			says: `Sink "a": Secret "none" does not exist in namespace "team"; create it or correct spec.events.sinks[a].authentication. Its events are kept until then`,
		},
		"no entry":                      {sink: "{name: a, serviceRef: {name: r, port: 1}, authentication: {hmacSecretRef: {name: token, key: none}}}", reason: v1alpha1.ReasonSecretKeyMissing, says: `no entry "none"`},
		"an empty entry":                {sink: "{name: a, serviceRef: {name: r, port: 1}, authentication: {hmacSecretRef: {name: token, key: empty}}}", reason: v1alpha1.ReasonSecretKeyMissing, says: "empty"},
		"a token of lines":              {sink: "{name: a, serviceRef: {name: r, port: 1}, authentication: {bearerSecretRef: {name: token, key: lines}}}", reason: v1alpha1.ReasonInvalidEventSink, says: "is not a token"},
		"a long entry":                  {sink: "{name: a, serviceRef: {name: r, port: 1}, authentication: {hmacSecretRef: {name: token, key: long}}}", reason: v1alpha1.ReasonInvalidEventSink, says: "more than 32768 bytes"},
		"a key that takes seconds":      {sink: "{name: a, serviceRef: {name: r, port: 1, scheme: HTTPS}, authentication: {clientCertificateSecretRef: {name: large}}}", reason: v1alpha1.ReasonInvalidEventSink, says: "use a smaller key"},
		"a secret that is not text":     {sink: "{name: a, serviceRef: {name: r, port: 1}, authentication: {hmacSecretRef: {name: token, key: bytes}}}", reason: v1alpha1.ReasonInvalidEventSink, says: "after whsec_"},
		"a path with an invalid escape": {sink: "{name: a, serviceRef: {name: r, port: 1, path: '/%zz'}}", reason: v1alpha1.ReasonInvalidEventSink, says: "url must be http or https"},
		// The API counts characters.
		"a bundle of too many bytes": {
			sink:   "{name: a, serviceRef: {name: r, port: 1, scheme: HTTPS}, caBundle: " + strings.Repeat("é", delivery.MaxCredential) + "}",
			reason: v1alpha1.ReasonInvalidEventSink, says: "a credential has more than 32768 bytes",
		},
		"an invalid key": {sink: "{name: a, serviceRef: {name: r, port: 1, scheme: HTTPS}, authentication: {clientCertificateSecretRef: {name: mixed}}}", reason: v1alpha1.ReasonInvalidEventSink, says: "tls.crt and tls.key"},
		"unreadable":     {sink: "{name: a, serviceRef: {name: r, port: 1}, authentication: {hmacSecretRef: {name: away, key: x}}}", says: "cannot be read: the API server"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(t, c.sink+", {name: other, serviceRef: {name: r, port: 1}}", c.policy, secrets)
			plan := Compose(in)
			if _, err := plan.Config.Encode(); err != nil {
				t.Errorf("the configuration is refused: %v", err)
			}
			first, other := plan.Config.Sinks[0], plan.Config.Sinks[1]
			if other.Held != "" || other.URL == "" {
				t.Errorf("another sink is held: %+v", other)
			}
			var said []string
			for _, p := range plan.Problems {
				if p.Reason != c.reason {
					t.Errorf("reason %s, want %s", p.Reason, c.reason)
				}
				said = append(said, p.Message)
			}
			text := strings.Join(append(said, plan.Unreadable...), "; ")
			if strings.Contains(text, "hunter2") || !strings.Contains(text, c.says) || (text == "") != (c.says == "") {
				t.Errorf("says %q, want %q", text, c.says)
			}
			if held := first.Held != ""; held != (text != "") || held && (first.URL != "" || first.Bearer != "") {
				t.Errorf("%+v", first)
			}
			if c.check != nil && !c.check(first) {
				t.Errorf("%+v", first)
			}
		})
	}
}

// Equal input gives equal bytes, or the relay would be replaced again and again.
func TestStable(t *testing.T) {
	in := input(t, "{name: a, serviceRef: {name: r, port: 1}, users: [{name: x}, {name: y}]}", "", nil)
	first, err := Compose(in).Config.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, _ := Compose(in).Config.Encode(); string(again) != string(first) {
			t.Fatalf("%s\n%s", first, again)
		}
	}
}

func TestRefs(t *testing.T) {
	in := input(t, `{name: a, serviceRef: {name: r, port: 1}, authentication: {bearerSecretRef: {name: x, key: k}, hmacSecretRef: {name: s2, key: k}}},
		{name: b, serviceRef: {name: r, port: 1}, authentication: {bearerSecretRef: {name: x, key: l}, clientCertificateSecretRef: {name: z}}}`, "", nil)
	if got := strings.Join(Refs(in.Listener), " "); got != "x s2 z" {
		t.Errorf("%s", got)
	}
	if none := (&v1alpha1.SFTPListener{}); Refs(none) != nil || Wanted(none) || !Wanted(in.Listener) {
		t.Error("a listener without events")
	}
}

func pair(t *testing.T) (certificate, private []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// Each credential is small enough, but all together are too large for a Secret: the last ones are held, and the others are not.
func TestLargeTogether(t *testing.T) {
	var sinks []string
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		sinks = append(sinks, "{name: "+name+", serviceRef: {name: r, port: 1}, authentication: {hmacSecretRef: {name: s, key: k}}}")
	}
	long := []byte(strings.Repeat("<", delivery.MaxCredential)) // six bytes each in JSON
	in := input(t, strings.Join(sinks, ", ")+", {name: plain, serviceRef: {name: r, port: 1}}", "", map[string]Secret{"s": {Data: map[string][]byte{"k": long}}})
	plan := Compose(in)
	if _, err := plan.Config.Encode(); err != nil {
		t.Errorf("the configuration is refused: %v", err)
	}
	var sent []string
	for _, s := range plan.Config.Sinks {
		if s.Held == "" {
			sent = append(sent, s.Name)
		}
	}
	if !slices.Equal(sent, []string{"a", "b", "c", "d", "e", "plain"}) || len(plan.Problems) != 2 || !strings.Contains(plan.Problems[0].Message, "exceed the limit") {
		t.Errorf("sent to %s: %+v", sent, plan.Problems)
	}
}

// Whoever may write Secrets decides how large they are, and the operator keeps what it has read.
func TestPart(t *testing.T) {
	in := input(t, "{name: a, serviceRef: {name: r, port: 1}, authentication: {bearerSecretRef: {name: s, key: token}, clientCertificateSecretRef: {name: s}}}", "", nil)
	large := make([]byte, 1<<20)
	got := Part(in.Listener, "s", map[string][]byte{"token": large, "tls.crt": []byte("c"), "other": large})
	if len(got) != 2 || len(got["token"]) != delivery.MaxCredential+1 || cap(got["token"]) > 2*delivery.MaxCredential || string(got["tls.crt"]) != "c" {
		t.Errorf("%d entries, %d bytes of %d", len(got), len(got["token"]), cap(got["token"]))
	}
	if got := Part(in.Listener, "another", map[string][]byte{"token": large}); len(got) > 0 {
		t.Errorf("%d entries of a Secret that no sink refers to", len(got))
	}
}
