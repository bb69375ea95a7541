package attack

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// holders exchange keys on connections, wait, leave before the grace time ends, and come back: connections that hold places in
// this way are neither silent nor too late.
type holders struct {
	addr    string
	sources int
	each    int
	stay    time.Duration
	held    atomic.Int32
}

// run holds connections until stop is closed.
func (h *holders) run(stop <-chan struct{}) {
	var all sync.WaitGroup
	for i := range h.sources * h.each {
		all.Go(func() {
			for {
				h.hold(fmt.Sprintf("127.0.2.%d", i%h.sources+1), stop)
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond): // no faster, because the test shares the machine
				}
			}
		})
	}
	all.Wait()
}

func (h *holders) hold(from string, stop <-chan struct{}) {
	p, err := daemontest.NewPeer(h.addr, from)
	if err != nil {
		return
	}
	defer p.Close()
	if p.Exchange() != nil {
		return
	}
	h.held.Add(1)
	defer h.held.Add(-1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = p.ReadPacket() // the daemon sends nothing: this reads the end
	}()
	select {
	case <-stop:
	case <-ended:
		return
	case <-time.After(h.stay):
	}
	p.Close()
	<-ended
}

// TestTenSources: ten addresses that hold as many logins as they are allowed to do not keep out any other source. When places
// were not shared fairly by source, two to seven of 40 tries succeeded.
func TestTenSources(t *testing.T) {
	const tries = 40
	for name, penalties := range map[string]bool{"penalties": true, "no penalties": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, _ := configtest.Key(t)
			dir := endpoint(t)
			dir.Listener.Sources.Penalties = penalties
			dir.AddUser("bob", "", key.PublicKey())
			d := start(t, dir)
			h := &holders{addr: d.Addr, sources: 10, each: 19, stay: 27 * time.Second}
			stop, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				h.run(stop)
			}()
			defer func() { close(stop); <-done }()
			d.Eventually(t, "they hold most places", func() bool { return h.held.Load() > 100 })
			time.Sleep(1500 * time.Millisecond) // each keeps its place for a second
			in, least, most := 0, h.held.Load(), h.held.Load()
			for range tries {
				if c, err := d.Dial("bob", ssh.PublicKeys(key)); err == nil {
					in++
					c.Close()
				}
				least, most = min(least, h.held.Load()), max(most, h.held.Load())
				time.Sleep(100 * time.Millisecond)
			}
			fmt.Printf("LOAD ten sources, %s: they hold %d to %d logins, bob gets in %d of %d times; %v sources have a penalty\n",
				name, least, most, in, tries, metrics(t, d)["sftpd_penalized_sources"])
			if in < tries*9/10 {
				t.Errorf("bob gets in %d of %d times", in, tries)
			}
		})
	}
}
