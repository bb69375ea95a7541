package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

const (
	// proxyHeaderTime is how long a proxy may take for its header, which it sends before
	// all else.
	proxyHeaderTime = 5 * time.Second
	// maxProxyHeader bounds the header, in bytes. Version 2 allows 64 KiB of extensions, of
	// which none is used here.
	maxProxyHeader = 4 << 10
)

var (
	errHeaderTooLong = errors.New("header too long")
	errNotTCP        = errors.New("not for a TCP connection")
	// errProbe is a proxy's own connection, a health check mostly.
	errProbe = errors.New("no client behind the proxy")
)

// atMost reads up to left bytes and then fails.
type atMost struct {
	r    io.Reader
	left int
}

func (a *atMost) Read(p []byte) (int, error) {
	if a.left == 0 {
		return 0, errHeaderTooLong
	}
	n, err := a.r.Read(p[:min(len(p), a.left)])
	a.left -= n
	return n, err
}

// afterHeader is a connection of which a part has been read already.
type afterHeader struct {
	net.Conn
	buffered *bufio.Reader
}

func (a *afterHeader) Read(p []byte) (int, error) {
	if a.buffered.Buffered() > 0 {
		return a.buffered.Read(p)
	}
	return a.Conn.Read(p)
}

// readProxyHeader reads a header of the PROXY protocol, version 1 or 2, and returns the
// client's address. The rest of the stream is to be read from the buffer while there is
// something in it. It returns errProbe if there is no client: the command LOCAL, the
// family UNKNOWN, or a connection without a byte.
func readProxyHeader(r io.Reader) (netip.AddrPort, *bufio.Reader, error) {
	buffered := bufio.NewReader(&atMost{r, maxProxyHeader})
	if _, err := buffered.Peek(1); errors.Is(err, io.EOF) {
		return netip.AddrPort{}, nil, errProbe
	}
	h, err := proxyproto.Read(buffered)
	switch {
	case err != nil:
		return netip.AddrPort{}, nil, err
	case h.Command.IsLocal():
		return netip.AddrPort{}, nil, errProbe
	}
	source, _, ok := h.TCPAddrs()
	if !ok {
		return netip.AddrPort{}, nil, errNotTCP
	}
	client := source.AddrPort()
	return netip.AddrPortFrom(client.Addr().Unmap(), client.Port()), buffered, nil
}

// behindProxy finds out who the client is, and whether it may go on. If it returns false,
// the connection has been logged.
func (c *conn) behindProxy(s *snapshot.Snapshot) (net.Conn, bool) {
	_ = c.raw.SetReadDeadline(time.Now().Add(proxyHeaderTime))
	client, buffered, err := readProxyHeader(c.raw)
	switch {
	case errors.Is(err, errProbe):
		c.server.Metrics.TCPProbe()
		c.server.Log.Debug("proxy without a client", "connection", c.id, "proxy", c.remote)
		return nil, false
	case c.closed() != "": // by the server itself
		c.refuse(c.closed(), "")
		return nil, false
	case err != nil:
		c.refuse(event.ProxyHeader, err.Error())
		return nil, false
	}
	c.proxy, c.remote, c.client = c.remote, client.String(), client.Addr()
	if reason := c.server.guard(c, s); reason != "" {
		drop(c.raw, reason)
		c.refuse(reason, "")
		return nil, false
	}
	return &afterHeader{c.raw, buffered}, true
}
