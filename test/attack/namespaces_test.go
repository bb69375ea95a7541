package attack

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// crowd is a namespace whose users log in as often as they can, and stay.
type crowd struct {
	addr     string
	users    int
	methods  []ssh.AuthMethod
	tried    atomic.Int32
	sessions sync.Map // *ssh.Client
}

// attempt makes one login, alternating the users and the methods.
func (c *crowd) attempt(i int, from string) {
	raw, err := daemontest.DialFrom(c.addr, from)
	if err != nil {
		return
	}
	_ = raw.SetDeadline(time.Now().Add(time.Minute))
	sc, channels, requests, err := ssh.NewClientConn(raw, c.addr, &ssh.ClientConfig{
		User: crowdUser(i % c.users), Auth: []ssh.AuthMethod{c.methods[i/c.users%len(c.methods)]},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // the test's own server
	})
	if err != nil {
		raw.Close()
		return
	}
	_ = raw.SetDeadline(time.Time{})
	client := ssh.NewClient(sc, channels, requests)
	c.sessions.Store(client, nil)
	go func() {
		_ = client.Wait() // ended by the daemon or by stop
		c.sessions.Delete(client)
	}()
}

func crowdUser(i int) string { return fmt.Sprintf("crowd-%03d", i) }

// run makes attempts, as many at a time as two addresses may have.
func (c *crowd) run(attempts, each int) {
	var all sync.WaitGroup
	for worker := range 2 * each {
		all.Go(func() {
			for i := int(c.tried.Add(1)); i <= attempts; i = int(c.tried.Add(1)) {
				c.attempt(i, fmt.Sprintf("127.0.6.%d", worker%2+1))
			}
		})
	}
	all.Wait()
}

func (c *crowd) stop() {
	c.sessions.Range(func(client, _ any) bool {
		client.(*ssh.Client).Close()
		return true
	})
}

// TestOneNamespaceOfTwo: a namespace with 200 users and 2,000 logins, half of them with passwords, cannot prevent a login to
// another namespace with one user. Its refusals name the share that is used up.
//
// The crowd comes from two addresses, which may have 20 logins in progress each. Before a client names its user, its namespace
// is unknown, so this part is limited by source; see TestTenSources.
func TestOneNamespaceOfTwo(t *testing.T) {
	const users, attempts, connections = 200, 2000, 100
	key, _ := configtest.Key(t)
	dir := endpoint(t)
	dir.Listener.Limits.MaxConnections = connections
	dir.Shards = 4
	first := *dir.AddUser(crowdUser(0), "secret", key.PublicKey())
	dir.Remove(crowdUser(0))
	for i := range users {
		u := dir.AddUser(crowdUser(i), "", key.PublicKey())
		u.Password, u.Namespace = first.Password, "crowd" // one hash, because making 200 takes longer than the test
	}
	dir.AddUser("lone", "secret", key.PublicKey()).Namespace = "quiet"
	d := start(t, dir)
	c := &crowd{addr: d.Addr, users: users, methods: []ssh.AuthMethod{ssh.Password("secret"), ssh.PublicKeys(key)}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run(attempts, dir.Listener.Startups.PerSource)
	}()
	defer c.stop()

	var took []time.Duration
	most := 0.0
	methods := map[string]ssh.AuthMethod{"a password": ssh.Password("secret"), "a key": ssh.PublicKeys(key)}
	for working := true; working; {
		select {
		case <-done:
			working = false // and again when the crowd holds as much as it can get
		default:
		}
		for name, method := range methods {
			begin := time.Now()
			if err := lone(d, method); err != nil {
				t.Fatalf("with %s, after %d attempts of the others and %s: %v; refusals %v",
					name, c.tried.Load(), time.Since(begin), err, refusals(metrics(t, d)))
			}
			took = append(took, time.Since(begin))
		}
		most = max(most, metrics(t, d)["sftpd_startups"])
		time.Sleep(20 * time.Millisecond)
	}
	d.Eventually(t, "refused connections end", func() bool { return d.Metric(t, "sftpd_connections") <= connections/2 })
	held := d.Metric(t, "sftpd_connections")
	told := refusals(metrics(t, d))
	fmt.Printf("LOAD one namespace of two: %d attempts, %v connections held, %v logins in progress at most; %d logins of the other: "+
		"median %.0f ms, longest %.0f ms; refusals %v\n", attempts, held, most, len(took), ms(median(took)), ms(quantile(took, 1)), told)
	if told["namespace_connections"] == 0 {
		t.Errorf("no refusal names the share of connections: %v", told)
	}
	for _, reason := range []string{"max_connections", "startups", "password_queue_timeout"} {
		if told[reason] > 0 {
			t.Errorf("%d times %s: one namespace has used up what all share", told[reason], reason)
		}
	}
	line := d.WaitAudit(t, "login_refused", 1)
	if account, _ := line["account"].(string); !strings.HasPrefix(account, "crowd/") {
		t.Errorf("audit: %v", line)
	}
}

// lone logs in and reads a file's attributes.
func lone(d *daemontest.Daemon, method ssh.AuthMethod) error {
	c, err := d.Dial("lone", method)
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
