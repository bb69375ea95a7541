package attack

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// TestTimeOfRefusals measures on the wire how long a refusal takes, for each kind of user: of a wrong password, of an offered
// key, and of a key that has signed. Refusals must take equally long for users who exist and users who do not.
//
// Each connection tries all of a method once, in random order and from its own address, so that penalties, which are enabled,
// never apply. Passwords and keys are not mixed: the effect of a password's 20 ms on caches exceeds what is to be measured. A
// test that runs a thousand times must not fail by chance: a difference must have a probability below 1e-6 and must be larger
// than what could be exploited over a network, a twentieth of a password's time or 100 µs.
func TestTimeOfRefusals(t *testing.T) { // not parallel: it measures time
	dir := endpoint(t)
	dir.Listener.Authentication.MaxTries = 100
	addUsers(t, dir)
	d := start(t, dir)
	stranger, _ := configtest.Key(t)
	type request func(p *daemontest.Peer, user string) []byte
	offered := func(p *daemontest.Peer, user string) []byte {
		return keyRequest(t, p, user, "ssh-ed25519", stranger.PublicKey(), nil)
	}
	signed := func(p *daemontest.Peer, user string) []byte {
		return keyRequest(t, p, user, "ssh-ed25519", stranger.PublicKey(), stranger)
	}
	wrong := func(_ *daemontest.Peer, user string) []byte { return daemontest.UserauthPassword(user, "wrong") }
	twentieth := func(m time.Duration) time.Duration { return m / 20 }
	tenthOfMillisecond := func(time.Duration) time.Duration { return 100 * time.Microsecond }
	methods := []struct {
		name      string
		tries     int
		send      request
		users     []string
		tolerance func(median time.Duration) time.Duration
	}{
		{"wrong password", 100, wrong, []string{"nobody", "password", "key", "both", "expired"}, twentieth},
		{"wrong key", 400, offered, kinds, tenthOfMillisecond},
		{"wrong key, signed", 400, signed, []string{"nobody", "key", "password"}, tenthOfMillisecond},
	}
	for m, method := range methods {
		took := make([][]time.Duration, len(method.users))
		for i := range method.tries {
			p, err := daemontest.NewPeer(d.Addr, fmt.Sprintf("127.%d.%d.%d", 1+m, i/250, 1+i%250))
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Exchange(); err != nil {
				t.Fatal(err)
			}
			for _, u := range rand.Perm(len(method.users)) {
				message := method.send(p, method.users[u])
				begin := time.Now()
				if err := p.WritePacket(message); err != nil {
					t.Fatal(err)
				}
				answer, err := p.ReadPacket()
				if err != nil || answer[0] != daemontest.MsgUserauthFailure {
					t.Fatalf("%q, %v", answer, err)
				}
				took[u] = append(took[u], time.Since(begin))
			}
			p.Close()
		}
		unknown := took[0]
		fmt.Printf("TIMING %s: unknown user median %v (quartiles %v, %v), n %d\n",
			method.name, median(unknown), quantile(unknown, 0.25), quantile(unknown, 0.75), len(unknown))
		for u := 1; u < len(method.users); u++ {
			known := took[u]
			statistic, probability := mannWhitney(unknown, known)
			fmt.Printf("TIMING %s: user %q median %v, Mann-Whitney against the unknown user: U %.0f, p %.2g\n",
				method.name, method.users[u], median(known), statistic, probability)
			difference := time.Duration(math.Abs(float64(median(known) - median(unknown))))
			if probability < 1e-6 && difference > method.tolerance(median(unknown)) {
				t.Errorf("%s: user %q takes %v, an unknown one %v", method.name, method.users[u], median(known), median(unknown))
			}
		}
	}
}
