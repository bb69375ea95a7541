package attack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
)

// expensive makes the daemon compute in a group of 4096 bits at the cost of two messages, with a random number in place of a
// public value, and disconnects when the computation is done.
func expensive(addr, from string, exchanged bool) error {
	p, err := daemontest.NewPeer(addr, from)
	if err != nil {
		return err
	}
	defer p.Close()
	algorithm, public := ssh.KeyExchangeDH16SHA512, byte(daemontest.MsgKexInitOfGroup)
	if exchanged {
		algorithm, public = ssh.KeyExchangeDHGEXSHA256, gexInit
	}
	if err := errors.Join(p.Versions(), p.SendKexInit(algorithm)); err != nil {
		return err
	}
	if exchanged { // the largest group available, RFC 4419 section 3
		m := []byte{gexRequest}
		for _, bits := range []uint32{4096, 8192, 8192} {
			m = binary.BigEndian.AppendUint32(m, bits)
		}
		if err := p.WritePacket(m); err != nil {
			return err
		}
	}
	number := make([]byte, 512) // less than each of these moduli
	for i := range number[1:] {
		number[i+1] = byte(rand.Uint32())
	}
	number[1] |= 1
	if err := p.WritePacket(daemontest.AppendString([]byte{public}, string(number))); err != nil {
		return err
	}
	for {
		switch m, err := p.ReadPacket(); {
		case err != nil:
			return err
		case m[0] == daemontest.MsgNewKeys:
			return nil
		}
	}
}

const gexRequest, gexInit = 34, 32 // RFC 4419 section 5

// TestExpensiveKeyExchanges: peers that constantly make the daemon compute in Diffie-Hellman groups (DHEat) get half of the
// CPUs, and a single source gets them only for a short time.
func TestExpensiveKeyExchanges(t *testing.T) { // not parallel: it measures time
	for _, tc := range []struct {
		name string
		from func(int) string
	}{{"one source", oneSource}, {"250 sources", manySources}} {
		t.Run(tc.name, func(t *testing.T) {
			judge(t, func() string { return underExchanges(t, tc.name, tc.from) })
		})
	}
}

// underExchanges measures logins with and without peers that force expensive exchanges, and returns what is wrong with the result.
func underExchanges(t *testing.T, name string, from func(int) string) string {
	t.Helper()
	key, _ := configtest.Key(t)
	dir := endpoint(t)
	dir.AddUser("ada", "", key.PublicKey())
	u := user{start(t, dir), key}
	u.logins(t, 300*time.Millisecond)
	var without, with []time.Duration
	var exchanges, attempts int64
	var attacked, used float64
	for range 3 {
		took, _ := u.logins(t, time.Second)
		without = append(without, took...)
		a := &attackers{addr: u.Addr, from: from}
		cpu := metrics(t, u.Daemon)["process_cpu_seconds_total"]
		a.begin()
		for n := range 20 {
			a.running.Go(func() {
				for i := n; !a.over(50 * time.Millisecond); i += 20 {
					a.opened.Add(1)
					if expensive(u.Addr, from(i), i%2 == 0) == nil {
						a.sent.Add(1)
					}
				}
			})
		}
		time.Sleep(200 * time.Millisecond)
		took, _ = u.logins(t, 1500*time.Millisecond)
		with = append(with, took...)
		attacked += time.Since(a.began).Seconds()
		used += metrics(t, u.Daemon)["process_cpu_seconds_total"] - cpu
		a.stop()
		exchanges, attempts = exchanges+a.sent.Load(), attempts+a.opened.Load()
	}
	ratio := float64(median(with)) / float64(median(without))
	fmt.Printf("LOAD exchanges in groups of 4096 bits, %s: %d of %d in %.1f s, %.0f %% of a CPU; "+
		"login median %.1f ms (p95 %.1f) with, %.1f ms (p95 %.1f) without, ratio %.2f, n %d and %d; refusals %v\n",
		name, exchanges, attempts, attacked, 100*used/attacked, ms(median(with)), ms(quantile(with, 0.95)),
		ms(median(without)), ms(quantile(without, 0.95)), ratio, len(with), len(without), refusals(metrics(t, u.Daemon)))
	switch {
	case exchanges < 10:
		return fmt.Sprintf("%d exchanges are not an attack", exchanges)
	case ratio > 4:
		return fmt.Sprintf("a login takes %.2f times as long", ratio)
	case from(0) == from(1) && metrics(t, u.Daemon)[`sftpd_refusals_total{reason="source_penalized"}`] == 0:
		return "the source was not refused"
	}
	return ""
}
