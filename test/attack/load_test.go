package attack

import (
	"fmt"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// user logs in while others attack.
type user struct {
	*daemontest.Daemon
	key ssh.Signer
}

// login logs in and requests a file's attributes: from the TCP connection to the answer.
func (u user) login() error {
	c, err := u.Dial("ada", ssh.PublicKeys(u.key))
	if err != nil {
		return err
	}
	defer c.Close()
	files, err := sftp.NewClient(c)
	if err != nil {
		return err
	}
	_, err = files.Stat("/")
	return err
}

// logins logs in repeatedly for a time, and returns how long each login took. A refused login is retried at once, and the
// retries count toward its time.
func (u user) logins(t *testing.T, during time.Duration) (took []time.Duration, refused int) {
	t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		begin := time.Now()
		for u.login() != nil {
			if refused++; time.Since(begin) > 10*daemontest.Second() {
				t.Fatalf("no login within %s", time.Since(begin))
			}
		}
		took = append(took, time.Since(begin))
	}
	return took, refused
}

// attackCase is the attackers' addresses, and the factor by which a login may take longer.
type attackCase struct {
	name      string
	from      func(int) string
	penalties bool
	most      float64
}

// TestLogInUnderAttack: while one source holds 200 half-open connections and sends garbage on 1,000 a second, the median login
// takes at most twice as long as without it.
//
// The phases with and without attackers alternate, so that other load affects both. The attackers use the same two CPUs, so
// their own CPU time is in the result too.
func TestLogInUnderAttack(t *testing.T) { // not parallel: it measures time
	for _, tc := range []attackCase{
		{"one source", oneSource, true, 2},
		{"one source, no penalties", oneSource, false, 2},
		// Here most connections are refused at random, and the retries count toward the time.
		{"250 sources, no penalties", manySources, false, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			judge(t, func() string { return underAttack(t, tc) })
		})
	}
}

// underAttack measures logins with and without attackers, and returns what is wrong with the result.
func underAttack(t *testing.T, tc attackCase) string {
	t.Helper()
	key, _ := configtest.Key(t)
	dir := endpoint(t)
	dir.AddUser("ada", "", key.PublicKey())
	dir.Listener.Sources.Penalties = tc.penalties
	u := user{start(t, dir), key}
	u.logins(t, 300*time.Millisecond) // the first are slower
	idle := memory(t, u.Daemon, "VmRSS")
	var without, with []time.Duration
	var attacked time.Duration
	refused, goroutines := 0, 0.0
	a := &attackers{addr: u.Addr, halfOpen: 200, garbage: 1000, from: tc.from}
	for range 4 {
		took, _ := u.logins(t, 1500*time.Millisecond)
		without = append(without, took...)
		a.start()
		time.Sleep(700 * time.Millisecond)
		took, n := u.logins(t, 1500*time.Millisecond)
		with, refused = append(with, took...), refused+n
		goroutines = max(goroutines, metrics(t, u.Daemon)["go_goroutines"])
		attacked += a.stop()
	}
	rate := float64(a.sent.Load()) / attacked.Seconds()
	ratio := float64(median(with)) / float64(median(without))
	peak := memory(t, u.Daemon, "VmHWM")
	fmt.Printf("LOAD %s: %.0f garbage connections/s for %.1f s, 200 half-open (%d attempts), %d dials failed; "+
		"login median %.1f ms (p95 %.1f) with, %.1f ms (p95 %.1f) without, ratio %.2f, n %d and %d, %d tries refused; "+
		"RSS %d MiB idle, %d MiB peak; %.0f goroutines; refusals %v\n",
		tc.name, rate, attacked.Seconds(), a.opened.Load(), a.failed.Load(), ms(median(with)), ms(quantile(with, 0.95)),
		ms(median(without)), ms(quantile(without, 0.95)), ratio, len(with), len(without), refused,
		idle/mib, peak/mib, goroutines, refusals(metrics(t, u.Daemon)))
	// The limits on startups from all sources together refuse connections at random, whatever their source.
	if tc.from(0) == tc.from(1) && refused > 0 {
		t.Errorf("%d tries refused, of %d logins", refused, len(with))
	}
	if peak > memoryBound {
		t.Errorf("%d MiB of memory, the bound is %d", peak/mib, memoryBound/mib)
	}
	switch {
	case rate < 300/daemontest.Second().Seconds():
		return fmt.Sprintf("the attackers managed only %.0f connections a second", rate)
	case ratio > tc.most:
		return fmt.Sprintf("a login takes %.2f times as long", ratio)
	}
	return ""
}

// judge measures up to three times, until the result is acceptable: a busy machine may be slow in any part of a measurement,
// whereas a defect affects each one. measure returns what is wrong.
func judge(t *testing.T, measure func() (wrong string)) {
	t.Helper()
	const tries = 3
	for try := 1; ; try++ {
		wrong := measure()
		switch {
		case wrong == "":
			return
		case try == tries:
			t.Error(wrong)
			return
		}
		t.Logf("try %d of %d: %s", try, tries, wrong)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
