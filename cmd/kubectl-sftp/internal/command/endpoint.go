package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
	"github.com/sftp-operator/sftp-operator/controllers/render"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/networks"
)

// endpoint is where a user logs in, and what to trust there.
type endpoint struct {
	user     *v1alpha1.SFTPUser
	listener *v1alpha1.SFTPListener
	// login name, address as host:port, and a file with the listener's host keys for that address.
	login, address, knownHosts string
}

// where selects the address of an endpoint, and the trusted host keys.
type where struct{ address, knownHosts string }

// addTo adds --address and --known-hosts.
func (w *where) addTo(c *cobra.Command) {
	c.Flags().StringVar(&w.address, "address", "",
		"connect to this `host:port` instead of forwarding a port to a pod of the listener; without a port, for example for a node's address, to the listener's node port or Service port")
	c.Flags().StringVar(&w.knownHosts, "known-hosts", "",
		"trust this known_hosts `file` instead of the listener's status, and connect to --address or the address in the user's status: for callers who may not read the listener, if the user's status has no knownHosts")
	_ = c.RegisterFlagCompletionFunc("address", cobra.NoFileCompletions) // the flag exists
}

// endpointOf finds a user's endpoint, forwards a port to it unless there is an address, and writes the known_hosts file
// into dir.
func (p *plugin) endpointOf(ctx context.Context, k *cluster.Cluster, name string, w where, dir string) (endpoint, error) {
	e := endpoint{address: w.address, knownHosts: w.knownHosts}
	var err error
	if e.user, err = k.FindUser(ctx, name); err != nil {
		return e, err
	}
	if w.knownHosts != "" {
		e.login, e.address = e.user.Status.Username, cmp.Or(withPort(w.address, portOf(e.user.Status.Address)), e.user.Status.Address)
		if e.login == "" || e.address == "" {
			return e, fmt.Errorf("the status of SFTPUser %s/%s has no login name or address yet", e.user.Namespace, e.user.Name)
		}
		return e, nil
	}
	e.listener, err = k.ListenerOf(ctx, e.user)
	switch {
	case apierrors.IsForbidden(err) && len(e.user.Status.KnownHosts) > 0:
		return e.byStatus(filepath.Join(dir, "known_hosts"))
	case apierrors.IsForbidden(err):
		return e, fmt.Errorf("%w\nIf you may not read the listener, give --known-hosts", err)
	case err != nil:
		return e, err
	}
	e.login = cmp.Or(e.user.Status.Username, attach.Username(e.listener, e.user))
	if len(e.listener.Status.HostKeys) == 0 {
		return e, fmt.Errorf("SFTPListener %s/%s has no host keys in its status, so there is nothing to trust", e.listener.Namespace, e.listener.Name)
	}
	if e.address != "" {
		e.address = withPort(e.address, strconv.Itoa(int(cmp.Or(e.listener.Status.NodePort, render.ServicePort(e.listener)))))
	}
	if e.address == "" {
		if err := forwardable(e.listener, e.user); err != nil {
			return e, &exitError{exitConnect, err}
		}
		if e.address, err = p.forward(ctx, k, e.listener); err != nil {
			return e, err
		}
	}
	e.knownHosts = filepath.Join(dir, "known_hosts")
	return e, os.WriteFile(e.knownHosts, []byte(hostKeyLines(e.listener, e.address)), privateMode)
}

// withPort returns an address with its own port, or the given one if it has none.
func withPort(address, port string) string {
	if _, _, err := net.SplitHostPort(address); err == nil || address == "" || port == "" {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), port)
}

// portOf returns the port of an address, "" for none.
func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// forwardable returns why a forwarded connection, which comes from the pod's loopback address, would be refused. The networks
// of keys are not checked, because a different key may have none.
func forwardable(l *v1alpha1.SFTPListener, u *v1alpha1.SFTPUser) error {
	if l.Spec.ProxyProtocol.Mode == v1alpha1.ProxyProtocolRequired {
		return fmt.Errorf("SFTPListener %s/%s accepts connections only from its proxies, with a PROXY header, which a forwarded port does not send; "+
			"give the address of the proxy with --address", l.Namespace, l.Name)
	}
	for _, rule := range []struct {
		of   string
		list []v1alpha1.Network
	}{{"SFTPListener " + l.Namespace + "/" + l.Name, l.Spec.AllowedCIDRs}, {"SFTPUser " + u.Namespace + "/" + u.Name, u.Spec.AllowedCIDRs}} {
		set, err := networks.Parse(rule.list)
		if err == nil && !set.Admits(netip.AddrFrom4([4]byte{127, 0, 0, 1})) {
			return fmt.Errorf("spec.allowedCIDRs of %s does not contain 127.0.0.1, the source of forwarded connections; give --address, and connect from one of: %s",
				rule.of, strings.Join(rule.list, ", "))
		}
	}
	return nil
}

// byStatus returns the endpoint according to the user's own status, for callers that may not read the listener. The host keys
// are those for the listener's address; they are also trusted at a different one.
func (e endpoint) byStatus(file string) (endpoint, error) {
	s := &e.user.Status
	e.listener, e.login, e.address, e.knownHosts = nil, s.Username, cmp.Or(withPort(e.address, portOf(s.Address)), s.Address), file
	var out strings.Builder
	for _, line := range s.KnownHosts {
		if _, key, ok := strings.Cut(line, " "); ok {
			fmt.Fprintln(&out, knownhosts.Normalize(e.address), key)
		}
	}
	return e, os.WriteFile(file, []byte(out.String()), privateMode)
}

func (p *plugin) forward(ctx context.Context, k *cluster.Cluster, l *v1alpha1.SFTPListener) (string, error) {
	pod, err := k.ReadyPod(ctx, l)
	if err == nil {
		var address string
		if address, err = k.Forward(ctx, pod, p.Err); err == nil {
			return address, nil
		}
	}
	if apierrors.IsForbidden(err) || strings.Contains(err.Error(), "forbidden") { // a refused upgrade has only a text
		err = fmt.Errorf("%w\nIf you may not forward ports to the listener's pods, give --address; kubectl sftp status shows addresses", err)
	}
	return "", &exitError{exitConnect, err}
}

// hostKeyLines returns the host keys of a listener as known_hosts lines for one address.
func hostKeyLines(l *v1alpha1.SFTPListener, address string) string {
	var out strings.Builder
	for _, k := range l.Status.HostKeys {
		fields := strings.Fields(k.PublicKey)
		fmt.Fprintln(&out, knownhosts.Normalize(address), strings.Join(fields[:min(2, len(fields))], " "))
	}
	return out.String()
}

// privateKey reads a private key, and asks for its passphrase if it has one.
func (p *plugin) privateKey(file string) (ssh.Signer, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(data)
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		var passphrase string
		if passphrase, err = p.prompt(fmt.Sprintf("Passphrase of %s: ", file)); err != nil {
			return nil, fmt.Errorf("%s has a passphrase: %w", file, err)
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(data, []byte(passphrase))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return signer, nil
}
