package admission

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

const (
	// proxyHeaderTime is how long a proxy may take to send its header, which comes first.
	proxyHeaderTime = 5 * time.Second
	// maxProxyHeader bounds the header, in bytes. Version 2 allows 64 KiB of extensions,
	// none of which is used here.
	maxProxyHeader = 4 << 10
)

var (
	errHeaderTooLong = errors.New("header too long")
	errNotTCP        = errors.New("not for a TCP connection")
	// ErrProbe is returned for a connection of the proxy itself, usually a health check.
	ErrProbe = errors.New("no client behind the proxy")
)

// atMost is a reader that fails after left bytes.
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

// afterHeader is a connection whose beginning has already been read.
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

// readProxyHeader reads a header of the PROXY protocol, version 1 or 2, and returns the client's address. The caller reads the
// rest of the stream from the buffer first. It returns ErrProbe if there is no client: the command LOCAL, the family UNKNOWN,
// or a connection without any data.
func readProxyHeader(r io.Reader) (netip.AddrPort, *bufio.Reader, error) {
	buffered := bufio.NewReader(&atMost{r, maxProxyHeader})
	if _, err := buffered.Peek(1); errors.Is(err, io.EOF) {
		return netip.AddrPort{}, nil, ErrProbe
	}
	h, err := proxyproto.Read(buffered)
	switch {
	case err != nil:
		return netip.AddrPort{}, nil, err
	case h.Command.IsLocal():
		return netip.AddrPort{}, nil, ErrProbe
	}
	source, _, ok := h.TCPAddrs()
	if !ok {
		return netip.AddrPort{}, nil, errNotTCP
	}
	client := source.AddrPort()
	return netip.AddrPortFrom(client.Addr().Unmap(), client.Port()), buffered, nil
}

// Client is the client behind a proxy.
type Client struct {
	Address netip.AddrPort
	// Conn is what follows the header.
	Conn net.Conn
}

// ReadProxyHeader reads the address of the client behind a proxy, within a few seconds. It returns ErrProbe if there is none.
func ReadProxyHeader(c net.Conn) (Client, error) {
	_ = c.SetReadDeadline(time.Now().Add(proxyHeaderTime)) // fails with the connection
	address, buffered, err := readProxyHeader(c)
	if err != nil {
		return Client{}, err
	}
	return Client{address, &afterHeader{c, buffered}}, nil
}
