package server

import (
	"errors"
	"net"

	"github.com/sftp-operator/sftp-operator/sftpd/admission"
	"github.com/sftp-operator/sftp-operator/sftpd/event"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// behindProxy finds out who the client is, and whether it may continue. If it returns
// false, the connection has been logged.
func (c *conn) behindProxy(s *snapshot.Snapshot) (net.Conn, bool) {
	client, err := admission.ReadProxyHeader(c.raw)
	switch {
	case errors.Is(err, admission.ErrProbe):
		c.server.emit(event.Probe{})
		c.server.Log.Debug("proxy connection without a client", "connection", c.about.ID, "proxy", c.about.Source)
		return nil, false
	case c.closed() != "": // by the server itself
		c.refuse(c.closed(), "")
		return nil, false
	case err != nil:
		c.refuse(event.ProxyHeader, err.Error())
		return nil, false
	}
	c.about.Proxy, c.about.Source, c.client = c.about.Source, client.Address.String(), client.Address.Addr()
	if reason := c.place.Connect(c.client, s); reason != "" {
		admission.Drop(c.tcp, reason)
		c.refuse(reason, "")
		return nil, false
	}
	return client.Conn, true
}
