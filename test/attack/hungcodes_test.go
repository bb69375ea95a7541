package attack

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/totp"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

const (
	// claimTime is how long the daemon waits for the volume that holds used codes.
	claimTime = 3 * time.Second
	// claimThreads is how many threads may wait for it.
	claimThreads = 16
)

// phone is an authenticator app, with a user who logs in with a key and its codes.
type phone struct {
	user string
	key  ssh.Signer
	totp.Key
	// given, unless nil, is closed once the daemon has asked for a code.
	given chan struct{}
}

func addPhone(t *testing.T, dir *configtest.Dir, user string) phone {
	t.Helper()
	key, _ := configtest.Key(t)
	p := phone{user: user, key: key, Key: totp.Generate()}
	u := dir.AddUser(user, "", key.PublicKey())
	u.Methods = []string{"PublicKey,TOTP"}
	u.TOTP = &config.TOTP{Secret: p.Secret(), Digits: p.Digits(), Algorithm: p.Algorithm()}
	return p
}

// code returns the next code: a daemon accepts none from the step in which it started.
func (p phone) code() string { return p.Code(totp.Step(time.Now()) + 1) }

// login logs in with a code, and returns how long this took after the code was entered.
func (p phone) login(t *testing.T, d *daemontest.Daemon, code string) (*ssh.Client, time.Duration, error) {
	t.Helper()
	var begin time.Time
	c, err := d.Dial(p.user, ssh.PublicKeys(p.key), ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		if len(questions) == 0 {
			return nil, nil
		}
		if begin = time.Now(); p.given != nil {
			close(p.given)
		}
		return []string{code}, nil
	}))
	if err == nil {
		t.Cleanup(func() { _ = c.Close() }) // the daemon may have closed it
	}
	return c, time.Since(begin), err
}

// lineOf returns a user's last log line of an event.
func lineOf(t *testing.T, d *daemontest.Daemon, event, user string) (last map[string]any) {
	t.Helper()
	d.Eventually(t, event+" of "+user, func() bool { return has(t, d, event, user) })
	for _, e := range d.Audit(t, event) {
		if e["user"] == user {
			last = e
		}
	}
	return last
}

// threads returns the number of the process's threads (proc_pid_task(5)).
func threads(t *testing.T, d *daemontest.Daemon) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", d.PID))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestHungCodes: the volume through which pods share used codes never answers. A user with a code gets in after a bounded time,
// the log says why other pods do not know about the code, and the code still works only once on this pod. Other logins,
// removals, expiry and probes are not delayed, and SIGTERM ends a login that waits for the volume.
func TestHungCodes(t *testing.T) {
	t.Parallel()
	dir := patient(t)
	dir.Listener.Startups.PerSource = 100
	volume := t.TempDir()
	dir.Listener.Volumes = append(dir.Listener.Volumes, config.Volume{Name: "hung", Path: volume})
	dir.Listener.Authentication.SharedCodes = "hung"
	var phones []phone
	for i := range claimThreads + 2 {
		phones = append(phones, addPhone(t, dir, fmt.Sprint("phone", i)))
	}
	before, gone, late := addPhone(t, dir, "before"), addPhone(t, dir, "gone"), addPhone(t, dir, "late")
	d := start(t, dir)
	if _, took, err := before.login(t, d, before.code()); err != nil || lineOf(t, d, "login", "before")["detail"] != nil {
		t.Fatalf("on a volume that answers: %v after %s, %v", err, took, lineOf(t, d, "login", "before"))
	}
	sessions := map[string]*busyWriter{}
	for _, user := range []string{"a", "b", "c", "d", "exp"} {
		sessions[user] = newWriter(t, d, user)
	}
	exp := expire(t, d, dir, "exp")
	hang(t, volume)
	calm := threads(t, d)

	var waiting sync.WaitGroup
	codes := make([]string, len(phones))
	for i, p := range phones {
		codes[i] = p.code()
		waiting.Go(func() {
			_, took, err := p.login(t, d, codes[i])
			if err != nil || took > claimTime+soon {
				t.Errorf("%s: %v after %s", p.user, err, took)
			}
			if i == 0 {
				t.Logf("ENDS hung codes: a login with a code took %s", took.Round(time.Millisecond))
			}
		})
	}
	waiting.Go(func() {
		c, took, err := gone.login(t, d, gone.code())
		if err == nil {
			err = c.Wait() // the client was told of its login slightly earlier
		}
		if err == nil || took > claimTime+soon {
			t.Errorf("removed while waiting for the volume: %v after %s", err, took)
		}
	})
	d.Eventually(t, "all wait for the volume", func() bool { return metrics(t, d)["sftpd_startups"] == float64(len(phones)+1) })
	othersMeanwhile(t, d)
	dir.Remove("gone")
	revokedMeanwhile(t, d, dir, sessions)
	waiting.Wait()
	for _, p := range phones {
		if detail, _ := lineOf(t, d, "login", p.user)["detail"].(string); detail != "other pods do not know that the code was used: no answer from the volume in 3s" {
			t.Errorf("%s: the log says %q", p.user, detail)
		}
	}
	if reason := lineOf(t, d, "login_refused", "gone")["reason"]; reason != "changed_during_login" {
		t.Errorf("removed while waiting for the volume: %v", reason)
	}
	// A used code does not wait for the volume.
	if _, took, err := phones[0].login(t, d, codes[0]); err == nil || took > soon {
		t.Errorf("a used code: %v after %s", err, took)
	}
	if reason := lineOf(t, d, "login_refused", phones[0].user)["reason"]; reason != "code_reused" {
		t.Errorf("a used code: %v", reason)
	}
	if n := threads(t, d); n > calm+claimThreads+10 {
		t.Errorf("%d threads, %d before", n, calm)
	}
	sessions["exp"].endsBy(t, "exp", exp.Add(soon))

	late.given = make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _, _ = late.login(t, d, late.code()) // the daemon ends in the meantime
	}()
	<-late.given
	time.Sleep(200 * time.Millisecond) // by now it waits for the volume
	terminated := time.Now()
	d.Terminate()
	_ = d.Wait(t, 2*time.Second+8*time.Second) // interrupted transfers are not a failure here
	took := time.Since(terminated)
	t.Logf("ENDS hung codes: SIGTERM with a drain timeout of 2s took %s", took.Round(time.Millisecond))
	if took > soon {
		t.Errorf("a login that waited for the volume held up the end for %s", took)
	}
	<-ended
}

// othersMeanwhile: users without a code log in as usual, and probes are answered; the volume is the reason why the pod is not ready.
func othersMeanwhile(t *testing.T, d *daemontest.Daemon) {
	t.Helper()
	begin := time.Now()
	daemontest.StillWorks(t, d.MustDial(t, "stays", ssh.Password("secret")))
	took := time.Since(begin)
	t.Logf("ENDS hung codes: another user's login and STAT took %s", took.Round(time.Millisecond))
	if took > soon {
		t.Errorf("another user's login and STAT took %s", took)
	}
	begin = time.Now()
	if code, _ := d.Get(t, "/livez"); code != http.StatusOK || time.Since(begin) > time.Second {
		t.Errorf("/livez: %d after %s", code, time.Since(begin))
	}
	if code, body := d.Get(t, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "volume hung") {
		t.Errorf("/readyz: %d %s", code, body)
	}
}
