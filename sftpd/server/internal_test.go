package server

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/auth"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

func bare(t *testing.T) (*Server, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	none := func() *snapshot.Snapshot { return nil }
	s := New(Options{Current: none, Auth: auth.New(none), Log: slog.New(slog.NewTextHandler(&log, nil))})
	t.Cleanup(func() { s.Close() })
	return s, &log
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestNoConfiguration: without a configuration, connections are closed at once.
func TestNoConfiguration(t *testing.T) {
	s, _ := bare(t)
	l := listen(t)
	go func() { _ = s.Serve(l) }()
	var dialer net.Dialer
	c, err := dialer.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := c.Read(make([]byte, 10)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

// TestPanicEndsOneConnection: the process continues after a panic in one connection.
func TestPanicEndsOneConnection(t *testing.T) {
	s, log := bare(t)
	here, there := net.Pipe()
	defer there.Close()
	c := newConn(s, here)
	current := &snapshot.Snapshot{}
	current.Listener.Limits.MaxConnections = 1
	if reason := c.place.Connect(c.client, current); reason != "" {
		t.Fatal(reason)
	}
	c.serve(nil) // panics at once because there is no snapshot
	if s.Connections() != 0 {
		t.Error("the connection is still registered")
	}
	if _, err := here.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
	if !strings.Contains(log.String(), "connection panicked") || !strings.Contains(log.String(), "conn.go") {
		t.Errorf("log: %s", log.String())
	}
}
