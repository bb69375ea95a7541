package server_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pkg/sftp"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/daemon/daemontest"
	"github.com/sftp-operator/sftp-operator/sftpd/server"
)

// strictly logs in as a client that ends the connection if the daemon sends anything during a key exchange that is not part of
// it.
func strictly(t *testing.T, d *daemontest.Daemon) *daemontest.Strict {
	t.Helper()
	s, err := daemontest.DialStrict(d.Addr, "ada", "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestKeyExchangesUnderLoad: OpenSSH 10.4 and newer disconnect from a server that sends anything but the messages of a key
// exchange during one (RFC 4253 section 7.1). Three channels of a connection upload, and three download with 64 requests
// in progress each, while keys are exchanged.
func TestKeyExchangesUnderLoad(t *testing.T) {
	for name, tc := range map[string]struct {
		adjust             func(*server.Server)
		byServer, byClient int64 // at least this many
		clientAsks         time.Duration
	}{
		"asked for by the client":              {func(*server.Server) {}, 0, 4, 500 * time.Millisecond},
		"asked for by the daemon after a time": {server.RekeyTime(100 * time.Millisecond), 3, 0, 0},
		"asked for by the daemon after bytes":  {server.RekeyBytes(1 << 20), 5, 0, 0},
		// The daemon takes a second for each exchange once there were many (handshake's pace): a client that asks seldom finds
		// it exchanging keys each time.
		"asked for by both": {server.RekeyBytes(1 << 20), 2, 1, 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := configtest.New(t)
			dir.AddUser("ada", "secret")
			s := strictly(t, daemontest.Start(t, dir, tc.adjust))
			stop := make(chan struct{})
			var all sync.WaitGroup
			all.Go(func() { ask(s, tc.byClient, tc.clientAsks, stop) })
			var errs []error
			enough := func() bool { return s.ByServer.Load() >= tc.byServer && s.ByClient.Load() >= tc.byClient }
			if err := load(s, enough); err != nil {
				errs = append(errs, err)
			}
			close(stop)
			all.Wait()
			if err := errors.Join(append(errs, s.Err())...); err != nil {
				t.Fatal(err)
			}
			t.Logf("key exchanges: %d asked for by the daemon, %d by the client", s.ByServer.Load(), s.ByClient.Load())
			if !enough() {
				t.Error("too few key exchanges")
			}
		})
	}
}

// ask makes the client request new keys this many times, and no more: each exchange restarts the daemon's count of bytes, so a
// client that keeps asking leaves the daemon no chance on a slow machine.
func ask(s *daemontest.Strict, times int64, interval time.Duration, stop <-chan struct{}) {
	for s.ByClient.Load() < times {
		select {
		case <-stop:
			return
		case <-time.After(interval):
			if s.Rekey() != nil {
				return
			}
		}
	}
}

// load copies on six channels at least once, and until there were enough exchanges or a minute has passed.
func load(s *daemontest.Strict, enough func() bool) error {
	const channels, size = 3, 2 << 20 // as much as 64 requests ask for
	data := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	give := time.Now().Add(time.Minute)
	var failed atomic.Bool
	ended := make(chan error)
	each := func(do func(c *sftp.Client, i int) error) {
		for i := range channels {
			go func() {
				c, err := sftp.NewClient(s.Client, sftp.MaxConcurrentRequestsPerFile(64), sftp.UseConcurrentWrites(true))
				for first := true; err == nil && (first || !enough() && time.Now().Before(give) && !failed.Load()); first = false {
					err = do(c, i)
				}
				if err != nil {
					failed.Store(true)
				} else {
					err = c.Close()
				}
				ended <- err
			}()
		}
	}
	wait := func(n int) (all error) {
		for range n {
			all = errors.Join(all, <-ended)
		}
		return all
	}
	put := func(c *sftp.Client, i int) error { return putData(c, fmt.Sprint("/up", i), data) }
	if c, err := sftp.NewClient(s.Client); err != nil || putData(c, "/down", data) != nil {
		return fmt.Errorf("the first upload: %w", errors.Join(err, s.Err()))
	}
	each(put)
	each(func(c *sftp.Client, _ int) error { return getData(c, "/down", data) })
	return wait(2 * channels)
}

func putData(c *sftp.Client, path string, data []byte) error {
	f, err := c.Create(path)
	if err != nil {
		return err
	}
	if _, err := f.ReadFrom(bytes.NewReader(data)); err != nil {
		return err
	}
	return f.Close()
}

func getData(c *sftp.Client, path string, data []byte) error {
	f, err := c.Open(path)
	if err != nil {
		return err
	}
	var got bytes.Buffer
	if _, err := f.WriteTo(&got); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.Equal(got.Bytes(), data) {
		return fmt.Errorf("%d bytes that differ", got.Len())
	}
	return f.Close()
}

// TestChannelEndsInKeyExchange: a distant client keeps sending after the daemon has requested new keys, because it has not
// received the request yet. That data must not delay the answer to it, however much the daemon has to send.
func TestChannelEndsInKeyExchange(t *testing.T) {
	t.Parallel()
	dir := configtest.New(t)
	dir.AddUser("ada", "secret")
	s := strictly(t, daemontest.Start(t, dir, server.RekeyBytes(1<<20)))
	ends, busy := daemontest.OpenChannel(t, s.Client), daemontest.OpenChannel(t, s.Client)
	var asked atomic.Int64
	s.OnKexInit = func() {
		if asked.Add(1) != 4 {
			return
		}
		time.Sleep(200 * time.Millisecond) // the daemon answers reads until it may not send more
		_ = ends.Close()
		for range 100 {
			_, _ = busy.SendRequest("keepalive@example.com", false, nil)
		}
		time.Sleep(200 * time.Millisecond) // they are sent
	}
	if err := load(s, func() bool { return asked.Load() >= 8 }); err != nil {
		t.Fatal(errors.Join(err, s.Err()))
	}
	if asked.Load() < 4 {
		t.Error("too few key exchanges")
	}
}
