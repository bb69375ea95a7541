// Command cluster runs a real Kubernetes node on this machine for development and tests: etcd, the control plane,
// containerd, kubelet and kube-proxy as plain processes, with no container engine, image registry or virtual machine.
// docs/development-cluster.md is its manual.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

const usage = `usage: go run ./hack/cluster COMMAND

  up [basic]       start the cluster or its missing parts, or do nothing if it is running and healthy;
                   basic leaves out the add-ons: DNS for the names of Services, and NetworkPolicies
  down             stop it and remove everything that it left on this machine
  status           print what is running; exit status 1 if the cluster is not healthy
  kill NAME        end a component, or all containers of the pod NAMESPACE/NAME, as kill -9 does
  start NAME [ARG…]  restart a killed component, with additional arguments
  cut ADDRESS:PORT [PEER]  drop the TCP packets between a pod's port and everyone, or one address
  mend             end all cuts
  recover-etcd     compact and defragment etcd and end its alarms, after it ran out of space
  netns NAMESPACE/POD  print the path of a pod's network namespace
  load FILE.tar…   import container images (docker save, OCI layout, or hack/image)
  kubeconfig       print the path of the administrator's kubeconfig
  assets           print the folder for KUBEBUILDER_ASSETS (kube-apiserver, etcd, kubectl), building it if missing
  assets-oldest    the same with the API server of the oldest supported Kubernetes
  build [basic]    compile what up needs into the cache, without root; up also compiles what is missing
  staging VERSION  print the replace block of hack/cluster/kubernetes/go.mod for a Kubernetes version
`

func main() {
	// Ctrl-C only cancels the context: what was started is on record, and the next up or down deals with it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	err := run(ctx, os.Args[1:])
	if errors.Is(err, errUsage) {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil && ctx.Err() != nil {
		err = errors.New("interrupted: run up again, or down")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("usage")

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	s, err := settingsFrom(os.Getenv)
	if err != nil {
		return err
	}
	command, args := args[0], args[1:]
	wanted := everything
	if len(args) == 1 && args[0] == string(basic) && (command == "up" || command == "build") {
		wanted, args = basic, nil
	}
	takesArguments := slices.Contains([]string{"load", "netns", "staging", "kill", "start", "cut", provisionerCommand}, command)
	if takesArguments != (len(args) > 0) {
		return errUsage
	}

	switch command {
	case "up":
		return locked(ctx, s, func(ctx context.Context, s settings) error { return up(ctx, s, wanted) })
	case "down":
		return locked(ctx, s, down)
	case "status":
		return status(ctx, s)
	case "kill", "start", "cut", "mend", "recover-etcd":
		return locked(ctx, s, func(ctx context.Context, s settings) error { return fault(ctx, s, command, args) })
	case "load":
		return load(ctx, s, args)
	case "netns":
		return printNetworkNamespace(ctx, s, args[0])
	case "kubeconfig":
		fmt.Println(s.kubeconfig())
		return nil
	case "assets":
		return printFolder(controlPlane.ensure(ctx, s))
	case "assets-oldest":
		return printFolder(oldestAssets(ctx, s))
	case "build":
		return buildAll(ctx, s, wanted)
	case "staging":
		return printStaging(ctx, args[0])
	case provisionerCommand: // started by up, not by people
		return provisionVolumes(ctx, args[0])
	}
	return errUsage
}

func printFolder(folder string, err error) error {
	if err == nil {
		fmt.Println(folder)
	}
	return err
}

// say reports progress on standard error: standard output carries only what a script may want to read.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "cluster: "+format+"\n", args...)
}

// locked runs do while no other up or down runs, and only as root.
func locked(ctx context.Context, s settings, do func(context.Context, settings) error) error {
	if os.Geteuid() != 0 {
		return errors.New("needs root: it creates a network bridge, mounts and cgroups (run it with sudo -E)")
	}
	unlock, err := lockFile(ctx, "/run/sftp-operator-cluster.lock")
	if err != nil {
		return err
	}
	defer unlock()
	return do(ctx, s)
}
