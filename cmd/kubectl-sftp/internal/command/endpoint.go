package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/cmd/kubectl-sftp/internal/cluster"
	"github.com/sftp-operator/sftp-operator/controllers/attach"
)

// endpoint is where a user logs in, and what to trust there.
type endpoint struct {
	user     *v1alpha1.SFTPUser
	listener *v1alpha1.SFTPListener
	// login name, address as host:port, and a file with the listener's host keys for that address.
	login, address, knownHosts string
}

// where says which way to take to an endpoint, and whom to trust there.
type where struct{ address, knownHosts string }

// addTo adds --address and --known-hosts.
func (w *where) addTo(c *cobra.Command) {
	c.Flags().StringVar(&w.address, "address", "", "connect to this `host:port` instead of forwarding a port to a pod of the listener")
	c.Flags().StringVar(&w.knownHosts, "known-hosts", "",
		"trust this known_hosts `file` instead of the listener's status, and connect to --address or the address in the user's status: for those who may not read the listener")
	_ = c.RegisterFlagCompletionFunc("address", cobra.NoFileCompletions) // the flag is there
}

// endpointOf finds a user's endpoint, forwards a port to it unless there is an address, and writes the known_hosts file
// into dir.
func (p *plugin) endpointOf(ctx context.Context, k *cluster.Cluster, name string, w where, dir string) (endpoint, error) {
	e := endpoint{address: w.address, knownHosts: w.knownHosts}
	var err error
	if e.user, err = k.User(ctx, name); err != nil {
		return e, err
	}
	if w.knownHosts != "" {
		e.login, e.address = e.user.Status.Username, cmp.Or(w.address, e.user.Status.Address)
		if e.login == "" || e.address == "" {
			return e, fmt.Errorf("the status of SFTPUser %s/%s has no login name and address yet", e.user.Namespace, e.user.Name)
		}
		return e, nil
	}
	if e.listener, err = k.ListenerOf(ctx, e.user); err != nil {
		if apierrors.IsForbidden(err) {
			err = fmt.Errorf("%w\nIf you may not read the listener, give --known-hosts", err)
		}
		return e, err
	}
	e.login = cmp.Or(e.user.Status.Username, attach.Username(e.listener, e.user))
	if len(e.listener.Status.HostKeys) == 0 {
		return e, fmt.Errorf("SFTPListener %s/%s has no host keys in its status, so there is nothing to trust", e.listener.Namespace, e.listener.Name)
	}
	if e.address == "" {
		if e.address, err = p.forward(ctx, k, e.listener); err != nil {
			return e, err
		}
	}
	e.knownHosts = filepath.Join(dir, "known_hosts")
	return e, os.WriteFile(e.knownHosts, []byte(hostKeyLines(e.listener, e.address)), privateMode)
}

func (p *plugin) forward(ctx context.Context, k *cluster.Cluster, l *v1alpha1.SFTPListener) (string, error) {
	pod, err := k.ReadyPod(ctx, l)
	if err == nil {
		var address string
		if address, err = k.Forward(ctx, pod, p.Err); err == nil {
			return address, nil
		}
	}
	if apierrors.IsForbidden(err) || strings.Contains(err.Error(), "forbidden") { // an upgrade's refusal is a text alone
		err = fmt.Errorf("%w\nIf you may not forward ports to the listener's pods, give --address; kubectl sftp status shows addresses", err)
	}
	return "", &exitError{exitConnect, err}
}

// hostKeyLines are the host keys of a listener as lines of known_hosts for one address.
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
