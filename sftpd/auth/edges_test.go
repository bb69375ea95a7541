package auth

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/factor"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/password"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
)

// TestShortCA: a CA's key must be as long as the policy requires of users' keys.
func TestShortCA(t *testing.T) {
	play(t, func(s *scene) {
		rsaCA(ssh.KeyAlgoRSASHA512)(s)
		s.policy.MinRSABits = 3072
		s.offered = s.certificate
		testKey(s, event.CANotAllowed, describe(s.certificate))
	})
}

// TestEachKeyCounts: in a login with two keys, both must stay valid, the session ends when the first of them expires, and the
// certificate of either one is recorded.
func TestEachKeyCounts(t *testing.T) {
	for i := range 2 {
		for _, tc := range []changed{
			{"revoked", func(s *scene) { s.dir.Listener.Revoked.Keys = []string{ssh.FingerprintSHA256(s.keys()[i])} }, event.KeyRevoked},
			{"expired", func(s *scene) { s.user().Keys[i].NotAfter = s.at(0) }, event.KeyExpired},
		} {
			play(t, func(s *scene) {
				s.user().Keys = append(s.user().Keys, config.Key{PublicKey: configtest.Line(s.more.PublicKey())})
				s.user().Keys[i].NotAfter = s.at(time.Minute)
				g := s.both(s.key.PublicKey(), s.more.PublicKey())
				u, _ := s.current.Lookup("ada")
				if end, reason := End(u, g); reason != event.KeyExpired || !end.Equal(*s.at(time.Minute)) {
					t.Errorf("key %d: the session ends at %s, %q", i, end, reason)
				}
				tc.change(s)
				if _, reason := Recheck(load(t, s.dir), g, s.now); reason != tc.reason {
					t.Errorf("key %d %s: %q", i, tc.name, reason)
				}
			})
		}
		play(t, func(s *scene) {
			keys := []ssh.PublicKey{s.key.PublicKey(), s.certificate}
			if i == 1 {
				slices.Reverse(keys)
			}
			if c := s.both(keys...).Certificate(); c == nil || c.KeyID != "test" {
				t.Errorf("the certificate is %+v", c)
			}
		})
	}
}

func (s *scene) keys() []ssh.PublicKey { return []ssh.PublicKey{s.key.PublicKey(), s.more.PublicKey()} }

// both logs in with two keys.
func (s *scene) both(keys ...ssh.PublicKey) *Grant {
	s.Helper()
	s.user().Methods = []string{"PublicKey,PublicKey"}
	l := s.login()
	var p *ssh.Permissions
	for _, k := range keys {
		p, _ = l.publicKeyProven(named("ada"), k, nil, "")
	}
	if GrantOf(p) == nil {
		s.Fatalf("%+v", s.refusals)
	}
	return GrantOf(p)
}

// TestGrantsAreCopies: what one step adds to a grant does not appear in another grant.
func TestGrantsAreCopies(t *testing.T) {
	g := &Grant{}
	for i := range 9 {
		a, b := g.with(factor.Password), g.with(factor.TOTP)
		a.Keys, b.Keys = append(a.Keys, ProvenKey{Fingerprint: "a"}), append(b.Keys, ProvenKey{Fingerprint: "b"})
		if a.Steps[i] != factor.Password || a.Keys[i].Fingerprint != "a" || len(g.Steps) != i {
			t.Fatalf("after %d steps: %+v", i, a)
		}
		g = a
	}
}

// TestPasswordThenCode: after the password the code is asked for.
func TestPasswordThenCode(t *testing.T) {
	play(t, func(s *scene) {
		s.user().Methods = []string{"Password,TOTP"}
		l := s.login()
		partial := (*ssh.PartialSuccessError)(nil)
		if _, err := l.password(named("ada"), []byte("secret")); !errors.As(err, &partial) || partial.Next.KeyboardInteractiveCallback == nil {
			t.Error(err)
		}
	})
}

// codeLogin returns a login that has reached the code step, an hour after the process began.
func (s *scene) codeLogin() *Login {
	s.Helper()
	s.user().Methods = []string{"PublicKey,TOTP"}
	l := s.login()
	if _, err := l.publicKeyProven(named("ada"), s.key.PublicKey(), nil, ""); err == nil {
		s.Fatal("a key is enough")
	}
	return l
}

// TestCodeDetail: the detail that is logged for a code: nothing for a correct one, the clock error, and a volume that does not
// answer, which does not lock users out.
func TestCodeDetail(t *testing.T) {
	for _, tc := range []struct {
		offset int64
		volume string
		reason event.Reason
		detail string
	}{
		{0, "", "", ""},
		{0, "data", "", ""},
		{-5, "", event.CodeClockSkew, "the code is 5 steps of 30 seconds behind;"},
		{5, "", event.CodeClockSkew, "the code is 5 steps of 30 seconds ahead;"},
		{0, "broken", "", "other pods do not know that the code was used: "},
	} {
		play(t, func(s *scene) {
			s.dir.Listener.Volumes = append(s.dir.Listener.Volumes, config.Volume{Name: "broken", Path: filepath.Join(t.TempDir(), "none")})
			s.dir.Listener.Authentication.SharedCodes = tc.volume
			l := s.codeLogin()
			now := s.now.Add(time.Hour)
			_, reason, detail := l.checkCode("ada", s.phone.Code(totp.Step(now)+tc.offset), now)
			if reason != tc.reason || !strings.HasPrefix(detail, tc.detail) || (detail == "") != (tc.detail == "") {
				t.Errorf("%+v: %q, %q", tc, reason, detail)
			}
		})
	}
}

// TestCodeOfAStepIsOne: a code is used up for all pods, whichever time step their clocks are in.
func TestCodeOfAStepIsOne(t *testing.T) {
	play(t, func(s *scene) {
		s.dir.Listener.Authentication.SharedCodes = "data"
		here, there := s.codeLogin(), s.codeLogin()
		now := s.now.Add(time.Hour)
		code := s.phone.Code(totp.Step(now))
		if _, reason, _ := here.checkCode("ada", code, now); reason != "" {
			t.Fatal(reason)
		}
		for _, d := range []time.Duration{30 * time.Second, -30 * time.Second, 0} {
			if _, reason, _ := there.checkCode("ada", code, now.Add(d)); reason != event.CodeReused {
				t.Errorf("%s later: %q", d, reason)
			}
		}
	})
}

// TestRightCodeSettles: a login with a correct code clears the wrong ones.
func TestRightCodeSettles(t *testing.T) {
	play(t, func(s *scene) {
		l := s.codeLogin()
		now := s.now.Add(time.Hour)
		for range 3 {
			for range wrongCodes - 1 {
				if _, reason, _ := l.checkCode("ada", "x", now); reason != event.WrongCode {
					t.Fatal(reason)
				}
			}
			if _, reason, _ := l.checkCode("ada", s.phone.Code(totp.Step(now)), now); reason != "" {
				t.Fatal(reason)
			}
			now = now.Add(time.Minute)
		}
	})
}

// TestOldCodesAreWrong: an outdated code counts as wrong, whatever was used since and whenever the process began; so does a
// malformed code right after startup.
func TestOldCodesAreWrong(t *testing.T) {
	k := totp.Generate()
	c := newClockwork()
	if reason, _ := c.check("ada", k, c.code(k, 0)); reason != "" {
		t.Fatal(reason)
	}
	if reason, _ := c.check("ada", k, c.code(k, -5)); reason != event.CodeClockSkew {
		t.Errorf("after another one: %q", reason)
	}
	fresh := newCodes(c.now)
	if reason, _ := fresh.check("ada", k, c.code(k, -5), c.now); reason != event.CodeClockSkew {
		t.Errorf("of before the process: %q", reason)
	}
	if reason, _ := fresh.check("ada", k, "x", c.now); reason != event.WrongCode {
		t.Errorf("nonsense: %q", reason)
	}
	// A code from another phone clears nothing for this one.
	for range wrongCodes - 2 {
		_, _ = fresh.check("ada", k, "x", c.now)
	}
	fresh.settle("ada", totp.Generate())
	if reason, _ := fresh.check("ada", k, "x", c.now); reason != event.CodeTriesExceeded {
		t.Errorf("settled by another phone: %q", reason)
	}
}

// TestClaimOnDisk: claim files are readable by the daemon only, are found by pods of other versions, and leave no descriptor
// open.
func TestClaimOnDisk(t *testing.T) {
	k, err := totp.New("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", 6, "SHA1")
	if err != nil {
		t.Fatal(err)
	}
	volume := t.TempDir()
	open := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	before := open()
	for range 2 {
		if _, err := claim(volume, "ada", k, 59_999_999); err != nil {
			t.Fatal(err)
		}
	}
	if n := open(); n != before {
		t.Errorf("%d descriptors are left", n-before)
	}
	for name, mode := range map[string]os.FileMode{codesDir: 0o700 | os.ModeDir, codesDir + "/4b5e929240f0c2db92a0fcf7167b2d5b": 0o600} {
		if st, err := os.Stat(filepath.Join(volume, name)); err != nil || st.Mode() != mode {
			all, _ := filepath.Glob(filepath.Join(volume, codesDir, "*"))
			t.Errorf("%s: %v; there is %v", name, err, all)
		}
	}
}

// TestClaimFails: a volume on which the file cannot be created gives an error, and the code does not count as first.
func TestClaimFails(t *testing.T) {
	k := totp.Generate()
	volume := t.TempDir()
	if err := os.WriteFile(filepath.Join(volume, codesDir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{volume, filepath.Join(volume, codesDir), filepath.Join(volume, "none")} {
		if first, err := claimInTime(t.Context(), v, "ada", k, 1); first || err == nil || !strings.Contains(err.Error(), codesDir) {
			t.Errorf("%s: %v, %v", v, first, err)
		}
	}
	if first, err := inTime(t.Context(), time.Minute, func() (bool, error) { return false, errNoAnswer }); first || !errors.Is(err, errNoAnswer) {
		t.Errorf("%v, %v", first, err)
	}
}

// TestSweepLeavesOthers: the sweep removes every file with a claim's name, and no others.
func TestSweepLeavesOthers(t *testing.T) {
	volume, k := t.TempDir(), totp.Generate()
	dir := filepath.Join(volume, codesDir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * claimLife)
	kept := []string{"abcd", strings.Repeat("ab", 17), strings.Repeat("zz", 16)}
	var gone []string
	for i := range int64(20) {
		gone = append(gone, claimName("ada", k, i))
	}
	for _, name := range append(kept, gone...) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := claim(volume, "ada", k, 100); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != len(kept)+1 {
		t.Errorf("%v, %v", left, err)
	}
	for _, name := range kept {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// TestLongPasswords: a password longer than any hash supports is wrong, and is not hashed beyond that length.
func TestLongPasswords(t *testing.T) {
	h := password.Decoy()
	for n, want := range map[int]bool{0: true, h.MaxLength(): true, h.MaxLength() + 1: false, 10 * h.MaxLength(): false} {
		v := newVerifier()
		v.match = func(_ password.Hash, given []byte) bool {
			if len(given) > h.MaxLength() {
				t.Errorf("%d bytes are verified", len(given))
			}
			return true
		}
		if got, err := v.verify(t.Context(), "a", false, h, make([]byte, n)); got != want || err != nil {
			t.Errorf("%d bytes: %v, %v", n, got, err)
		}
	}
	v := newVerifier()
	if v.memory.free != passwordMemoryKiB {
		t.Error("another bound of memory")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := v.verify(ctx, "a", false, h, nil); ok || err == nil {
		t.Errorf("not in time: %v, %v", ok, err)
	}
}
