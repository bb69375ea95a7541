package attack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// The memory bound before logins from docs/hardening.md. It covers the process; the passwords being verified, twice, because
// the memory of earlier ones may not have been collected yet; and each connection that may be starting, with the largest packet
// and everything it may send before a login, twice for the same reason.
const (
	startups      = 200
	ofProcess     = 48 * mib
	ofPasswords   = 64 * mib
	ofConnection  = 512 << 10
	memoryBound   = ofProcess + 2*(ofPasswords+startups*ofConnection)
	largestPacket = 256 << 10 // x/crypto's
)

// announce sends the length of the largest possible packet, and only part of the packet.
func announce(p *daemontest.Peer, kib int) error {
	_, err := p.Write(append(binary.BigEndian.AppendUint32(nil, largestPacket), make([]byte, kib<<10)...))
	return err
}

// TestMemoryOfHalfOpen measures the memory of connections that stop at a certain step of the login, as many as possible, and
// checks that their total stays within the bound.
func TestMemoryOfHalfOpen(t *testing.T) { // not parallel: it measures memory
	answered := func(p *daemontest.Peer) error {
		_, err := p.ReadPacket()
		return err
	}
	for _, step := range []struct {
		name string
		stop func(p *daemontest.Peer) error
	}{
		{"nothing sent", func(*daemontest.Peer) error { return nil }},
		{"version sent", (*daemontest.Peer).Versions},
		{"KEXINIT sent", func(p *daemontest.Peer) error {
			return errors.Join(p.Versions(), p.SendKexInit("curve25519-sha256"), answered(p))
		}},
		{"keys exchanged", (*daemontest.Peer).Exchange},
		{"256 KiB announced before", func(p *daemontest.Peer) error { return errors.Join(p.Versions(), announce(p, 120)) }},
		{"256 KiB announced after", func(p *daemontest.Peer) error { return errors.Join(p.Exchange(), announce(p, 120)) }},
		{"password of 100 KiB, and 256 KiB announced", func(p *daemontest.Peer) error {
			password := daemontest.UserauthPassword("ada", strings.Repeat("x", 100<<10))
			return errors.Join(p.Exchange(), p.WritePacket(password), announce(p, 20))
		}},
	} {
		t.Run(step.name, func(t *testing.T) {
			dir := endpoint(t)
			dir.AddUser("ada", "secret")
			dir.Listener.Startups = config.Startups{Begin: startups, Full: startups}
			dir.Listener.Authentication.LoginGraceSeconds = 600 // nor do the first ones leave before
			dir.Listener.Sources.Penalties = false              // late ones must not be refused because of the first ones' wrong passwords
			d := start(t, dir)
			idle := memory(t, d, "VmRSS")
			peers := make([]*daemontest.Peer, startups)
			var opening sync.WaitGroup
			for i := range peers {
				opening.Go(func() {
					p, err := daemontest.NewPeer(d.Addr, "127.0.0.2")
					if err == nil {
						peers[i] = p
						err = step.stop(p)
					}
					if err != nil {
						t.Error(err)
					}
				})
				time.Sleep(time.Millisecond) // none must displace another
			}
			opening.Wait()
			d.Eventually(t, "all are there", func() bool { return metrics(t, d)["sftpd_startups"] == startups })
			now, m := memory(t, d, "VmRSS"), metrics(t, d)
			heap := (m["go_memstats_heap_alloc_bytes"] + m["go_memstats_stack_inuse_bytes"]) / startups / 1024
			goroutines := m["go_goroutines"]
			for _, p := range peers {
				if p != nil {
					p.Close()
				}
			}
			d.Eventually(t, "all have gone", func() bool {
				m := metrics(t, d)
				return m["sftpd_startups"] == 0 && m["go_goroutines"] < 50
			})
			peak := memory(t, d, "VmHWM")
			fmt.Printf("MEMORY %d connections, %s: RSS %.1f MiB idle, %.1f with them, %.1f at most: %d KiB for each; heap and stacks %.0f KiB, %.1f goroutines for each\n",
				startups, step.name, float64(idle)/mib, float64(now)/mib, float64(peak)/mib, (peak-idle)/startups/1024, heap, goroutines/startups)
			if peak > memoryBound || idle > ofProcess {
				t.Errorf("%d MiB of memory, the bound is %d", peak/mib, memoryBound/mib)
			}
			if goroutines > 50+4*startups {
				t.Errorf("%.0f goroutines", goroutines)
			}
		})
	}
}
