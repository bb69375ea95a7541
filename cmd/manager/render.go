package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
	"github.com/sftp-operator/sftp-operator/controllers/offline"
	"github.com/sftp-operator/sftp-operator/controllers/platform"
	"github.com/sftp-operator/sftp-operator/controllers/render"
)

const renderUsage = `usage: manager render -f FILE-OR-DIRECTORY [-f ...] [-o DIRECTORY] [-platform-policy FILE] [-allow-missing]

Checks manifests as the cluster would, and writes the daemon's configuration.

Reads SFTPListeners, SFTPUsers and SFTPKeys, and the Secrets and Namespaces that they
refer to. Prints what conditions would report, and exits with 1 if there is anything. With
-o it writes the configuration directory for "sftpd serve -config"; with several
listeners, each into <namespace>/<name> below it. The folder relay in it is for "sftpd relay
-config", if the listener has events; -pods is where the relay finds the daemon. Host keys that the operator would
generate are made on the first run and kept in the directory.

`

// repeated is a flag that may be given several times.
type repeated []string

func (r *repeated) String() string { return fmt.Sprint(*r) }

func (r *repeated) Set(v string) error {
	*r = append(*r, v)
	return nil
}

// errFindings is returned when manifests have findings, which were printed.
var errFindings = errors.New("the manifests have the problems above")

func renderCommand(args []string) error {
	var files repeated
	fs := flag.NewFlagSet("manager render", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), renderUsage)
		fs.PrintDefaults()
	}
	fs.Var(&files, "f", "file or directory with manifests, - for standard input; may be repeated")
	out := fs.String("o", "", "directory to write to; only checks when empty")
	platformPolicy := fs.String("platform-policy", "", "file with the operator's defaults and bounds for all listeners; none when empty")
	pods := fs.String("pods", "localhost:8081", "name and health port of the daemon, as the relay of a listener with events finds it")
	allowMissing := fs.Bool("allow-missing", false, "do not fail for Secrets and keys that are not in the manifests; users that need them are left out")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if len(files) == 0 || fs.NArg() > 0 {
		fs.Usage()
		return errors.New("-f must be given")
	}
	policy, err := platform.ReadFile(*platformPolicy)
	if err != nil {
		return fmt.Errorf("-platform-policy: %w", err)
	}
	ctx := context.Background()
	m, err := offline.Read(ctx, files)
	if err != nil {
		return err
	}
	m.Platform = policy
	failed := len(m.Refused) > 0
	for _, r := range m.Refused {
		fmt.Fprintln(os.Stderr, "error:", r)
	}
	if len(m.Listeners) == 0 {
		return errors.New("there is no usable SFTPListener in the manifests")
	}
	if !report(m.Unattached(), *allowMissing) {
		failed = true
	}
	for i := range m.Listeners {
		ok, err := renderListener(ctx, m, &m.Listeners[i], options{*out, *pods, *allowMissing})
		if err != nil {
			return err
		}
		failed = failed || !ok
	}
	if failed {
		return errFindings
	}
	return nil
}

// options are the flags.
type options struct {
	out, pods    string
	allowMissing bool
}

// renderListener renders one listener and reports whether it is without findings. A
// configuration with findings is not written: the pipeline must stop.
func renderListener(ctx context.Context, m *offline.Manifests, l *v1alpha1.SFTPListener, o options) (bool, error) {
	dir := o.out
	if len(m.Listeners) > 1 && dir != "" {
		dir = filepath.Join(dir, l.Namespace, l.Name)
	}
	var prev offline.Previous
	if dir != "" {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return false, err
		}
		var err error
		if prev, err = offline.ReadPrevious(dir); err != nil {
			return false, err
		}
	}
	files, findings, err := m.Render(ctx, l, prev, time.Now(), offline.VolumePath)
	if err != nil {
		return false, err
	}
	host, port, err := hostAndPort(o.pods)
	if err != nil {
		return false, err
	}
	relay, more, err := m.RenderRelay(l, files, host, port)
	if err != nil {
		return false, err
	}
	if !report(append(findings, more...), o.allowMissing) {
		return false, nil
	}
	if dir == "" || files.Digest == "" {
		return true, nil
	}
	if err := offline.Write(dir, files, render.Settings(l, render.Trust{}, offline.VolumePath).Volumes); err != nil {
		return false, err
	}
	if err := offline.WriteRelay(dir, relay); err != nil {
		return false, err
	}
	fmt.Printf("SFTPListener %s: configuration written to %s\n", client.ObjectKeyFromObject(l), dir)
	return true, nil
}

func hostAndPort(pods string) (host string, port int, err error) {
	host, digits, err := net.SplitHostPort(pods)
	if err == nil {
		port, err = strconv.Atoi(digits)
	}
	if err != nil || host == "" || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("-pods %q must be a name and a port, for example localhost:8081", pods)
	}
	return host, port, nil
}

// report prints findings and reports whether none of them is an error.
func report(findings []offline.Finding, allowMissing bool) bool {
	ok := true
	for _, f := range findings {
		if f.Missing && allowMissing {
			fmt.Fprintln(os.Stderr, "warning:", f)
			continue
		}
		fmt.Fprintln(os.Stderr, "error:", f)
		ok = false
	}
	return ok
}
