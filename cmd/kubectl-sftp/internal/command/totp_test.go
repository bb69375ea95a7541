package command

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
)

var otpauth = regexp.MustCompile(`otpauth://\S+`)

// app plays a person who scans what is shown and types the codes.
type app struct {
	shown   bytes.Buffer
	offsets []int // of the codes, in steps from the plug-in's clock
}

// Read implements io.Reader.
func (a *app) Read(p []byte) (int, error) {
	k, err := totp.Parse(otpauth.FindString(a.shown.String()))
	if err != nil {
		return 0, err
	}
	offset := a.offsets[0]
	a.offsets = a.offsets[1:]
	return copy(p, k.Code(totp.Step(now)+int64(offset))+"\n"), nil
}

// scan runs a command line with an app available.
func scan(t *testing.T, kubeconfig string, offsets []int, args ...string) result {
	t.Helper()
	a := app{offsets: offsets}
	var errors bytes.Buffer
	code := Run(t.Context(), Terminal{In: &a, Out: &a.shown, Err: &errors, Now: func() time.Time { return now }},
		"test", append(args, "--kubeconfig", kubeconfig))
	return result{code, a.shown.String(), errors.String()}
}

func TestTOTP(t *testing.T) {
	ns := namespace(t, "totp")
	manifests(t, ns, "partners.yaml")
	who := editor(t, ns, "totp-editor")
	stored := func(name string) totp.Key {
		t.Helper()
		ref := userOf(t, ns, name).Spec.Authentication.TOTPSecretRef
		if ref == nil {
			t.Fatalf("%s has no totpSecretRef", name)
		}
		k, err := totp.Parse(string(secretOf(t, ns, ref.Name).Data[ref.Key]))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}

	// The second code is right, and everything fits together.
	r := scan(t, who, []int{7, 0}, "totp", "acme", "-n", ns)
	shown, err := totp.Parse(otpauth.FindString(r.out))
	if r.code != 0 || err != nil || shown != stored("acme") || !strings.Contains(r.out, "▀") ||
		!strings.Contains(r.err, "off by 210 seconds") || strings.Contains(r.err, "not the code") {
		t.Errorf("%+v, %v", r, err)
	}
	if want := "SFTPUser totp/acme has a new secret for an authenticator app, in Secret acme-totp, entry totp. It logs in with: " +
		"PublicKey,TOTP or Password,TOTP.\n"; !strings.HasSuffix(r.out, want) {
		t.Errorf("%s\nwant at the end %s", r.out, want)
	}

	// It is not replaced by accident.
	if r := scan(t, who, nil, "totp", "acme", "-n", ns); r.code != exitFailed || !strings.Contains(r.err, "--rotate replaces it") || stored("acme") != shown {
		t.Errorf("%+v", r)
	}
	if r := scan(t, who, []int{0}, "totp", "acme", "-n", ns, "--rotate", "--no-qr"); r.code != 0 || strings.Contains(r.out, "▀") || stored("acme") == shown {
		t.Errorf("%+v", r)
	}

	// Machine-readable output.
	r = plugInput(t, who, "", "totp", "globex", "-n", ns, "--no-confirm", "--issuer", "Files & more", "-o", "json")
	var e enrolled
	if err := json.Unmarshal([]byte(r.out), &e); err != nil || !e.Created || !strings.Contains(e.URI, "otpauth://totp/Files%20&%20more:globex?") ||
		!slices.Equal(e.Methods, []string{"PublicKey,TOTP"}) {
		t.Errorf("%+v, %v", r, err)
	}
	if k, err := totp.Parse(e.URI); err != nil || k != stored("globex") {
		t.Errorf("%v, %v", k, err)
	}
}

func TestTOTPWithMethods(t *testing.T) {
	ns := namespace(t, "totp-methods")
	manifests(t, ns, "partners.yaml")
	u := userOf(t, ns, "acme")
	u.Spec.Authentication.Methods = []v1alpha1.MethodCombination{{Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey}}, {Steps: []v1alpha1.AuthMethod{v1alpha1.AuthPublicKey, v1alpha1.AuthPassword}}}
	if err := api.Update(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if r := scan(t, administrator, nil, "totp", "acme", "-n", ns); r.code != exitFailed || !strings.Contains(r.err, "--require adds it to each one") {
		t.Errorf("%+v", r)
	}
	r := scan(t, administrator, []int{-1}, "totp", "acme", "-n", ns, "--require")
	const key, password, code = v1alpha1.AuthPublicKey, v1alpha1.AuthPassword, v1alpha1.AuthTOTP
	want := []v1alpha1.MethodCombination{{Steps: []v1alpha1.AuthMethod{key, code}}, {Steps: []v1alpha1.AuthMethod{key, password, code}}}
	if auth := userOf(t, ns, "acme").Spec.Authentication; r.code != 0 || !reflect.DeepEqual(auth.Methods, want) || auth.TOTPSecretRef == nil {
		t.Errorf("%+v, %+v", r, auth)
	}
	shown := plug(t, "status", "acme", "-n", ns)
	if want := "  Code of an app: yes\n  Methods:        PublicKey,TOTP\n                  PublicKey,Password,TOTP\n"; !strings.Contains(shown.out, want) {
		t.Errorf("%s\nwant in it\n%s", shown.out, want)
	}
}

// A failure changes nothing.
func TestTOTPRefuses(t *testing.T) {
	ns := namespace(t, "totp-refuses")
	manifests(t, ns, "partners.yaml")
	create(t, newSecret(ns, "globex-totp", map[string]string{"totp": "for something else"}))
	for _, tc := range []struct {
		name    string
		offsets []int
		args    string
		code    int
		say     string
	}{
		{"wrong codes", []int{100, 100, 100}, "acme", exitFailed, "the codes do not match, and nothing was changed"},
		{"-o without --no-confirm", nil, "acme -o json", exitUsage, "-o requires --no-confirm"},
		{"a Secret that is there", []int{0}, "globex", exitFailed, "a Secret globex-totp exists"},
		{"nobody", nil, "nobody", exitFailed, `"nobody" not found`},
	} {
		if r := scan(t, administrator, tc.offsets, append([]string{"totp", "-n", ns}, strings.Fields(tc.args)...)...); r.code != tc.code || !strings.Contains(r.err, tc.say) {
			t.Errorf("%s: %+v", tc.name, r)
		}
	}
	if r := plugInput(t, administrator, "", "totp", "acme", "-n", ns); r.code != exitFailed || !strings.Contains(r.err, "no code was given") {
		t.Errorf("%+v", r)
	}
	for _, name := range []string{"acme", "globex"} {
		if userOf(t, ns, name).Spec.Authentication.TOTPSecretRef != nil {
			t.Errorf("%s has a secret", name)
		}
	}
	if got := string(secretOf(t, ns, "globex-totp").Data["totp"]); got != "for something else" {
		t.Errorf("the other Secret was changed: %q", got)
	}
}

// TestCheckFactors checks a login with four steps, and reports what is missing.
func TestCheckFactors(t *testing.T) {
	p := play(t, "check-factors")
	second, pem := configtest.Key(t)
	file := filepath.Join(t.TempDir(), "second")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	phone := totp.Generate()
	login := p.dir.User(t, "acme")
	login.Keys = append(login.Keys, config.Key{PublicKey: configtest.Line(second.PublicKey())})
	login.Methods = []string{"PublicKey,PublicKey,Password,TOTP"}
	login.TOTP = &config.TOTP{Secret: phone.Secret(), Digits: phone.Digits(), Algorithm: phone.Algorithm()}
	p.daemon.Reload(t, p.dir)
	create(t, newSecret(p.namespace, "acme-totp", map[string]string{"totp": phone.Secret()}))
	u := userOf(t, p.namespace, "acme")
	u.Spec.Authentication.TOTPSecretRef = &v1alpha1.TOTPSecretReference{Name: "acme-totp"}
	if err := api.Update(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	// The daemon accepts no code of the step in which it started.
	ahead := func() time.Time { return time.Now().Add(totp.Period) }
	check := func(args ...string) result {
		t.Helper()
		var out, errors bytes.Buffer
		args = append([]string{"check", "acme", "-n", p.namespace, "--kubeconfig", administrator}, args...)
		code := Run(t.Context(), Terminal{In: strings.NewReader(""), Out: &out, Err: &errors, Now: ahead}, "test", args)
		return result{code, out.String(), errors.String()}
	}
	if r := check("-i", p.key, "-i", file, "--password-from-secret"); r.code != exitLogIn || !strings.Contains(r.err, `asks for "Verification code: ", which was not given`) {
		t.Errorf("%+v", r)
	}
	if r := check("-i", p.key, "--password-from-secret", "--code", "123456"); r.code != exitLogIn {
		t.Errorf("%+v", r)
	}
	if r := check("-i", p.key, "-i", file, "--password-from-secret", "--code-from-secret"); r.code != 0 || !strings.Contains(r.out, "works, as acme") {
		t.Errorf("%+v", r)
	}
	if r := check("-i", p.key, "--code", "1", "--code-from-secret"); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
	e := p.daemon.WaitAudit(t, "login", 1)
	if e["key_fingerprint"] == ssh.FingerprintSHA256(second.PublicKey()) {
		t.Errorf("the order of the keys is not that of -i: %v", e)
	}
}
