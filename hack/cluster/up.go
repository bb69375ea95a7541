package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// state is what is needed to stop a cluster, or to detect that it is the requested one.
type state struct {
	Settings settings
	Folders  folders
	Sysctls  map[string]string // as they were before
	Absent   []string          // of outsideFolders, those that were not there before
}

// folders are where the programs are.
type folders struct{ Kubernetes, CoreDNS, NetworkPolicies string }

// fits reports whether this is the wanted cluster. Where the programs are cached depends on who calls, root or sudo.
func (st state) fits(s settings, bin folders) bool {
	s.Cache = st.Settings.Cache
	return st.Settings == s &&
		filepath.Base(st.Folders.Kubernetes) == filepath.Base(bin.Kubernetes) &&
		filepath.Base(st.Folders.CoreDNS) == filepath.Base(bin.CoreDNS) &&
		filepath.Base(st.Folders.NetworkPolicies) == filepath.Base(bin.NetworkPolicies)
}

// parts is how much of a cluster is wanted.
type parts string

const (
	basic      parts = "basic"      // pods run, and are reached by the addresses of Services
	everything parts = "everything" // with the add-ons
)

// up starts the cluster, or does nothing if it already runs as wanted. A basic one gets its add-ons, and loses nothing.
func up(ctx context.Context, s settings, wanted parts) error {
	began := time.Now()
	bin, err := programFolders(s)
	if err != nil {
		return err
	}
	old, err := readState(s)
	if err != nil {
		return err
	}
	if old != nil && allRun(s) == nil {
		if !old.fits(s, bin) {
			return errors.New("a cluster with different settings or versions is running in " + s.Dir + ": run down first")
		}
		// It may be busy, not broken: give it time before taking it away from its users.
		err := waitFor(ctx, s, "the running cluster", nil, func(ctx context.Context) error { return healthy(ctx, s) })
		if err == nil && (wanted == basic || hasAddOns(s)) {
			say("already running")
			printEnvironment(s, bin)
			return nil
		}
		if err == nil {
			return addToRunning(ctx, s, bin)
		}
		if ctx.Err() != nil {
			return err
		}
		say("%v", err)
	}
	if err := ensurePackages(ctx); err != nil {
		return err
	}
	if err := buildAll(ctx, s, wanted); err != nil {
		return err
	}
	if old != nil {
		say("an earlier cluster is dead or damaged: starting a new one")
	}
	if err := remove(ctx, s); err != nil {
		return fmt.Errorf("clean up after an earlier cluster: %w", err)
	}
	if err := writeState(s, bin); err != nil {
		return err
	}
	if err := startAll(ctx, s, bin, wanted); err != nil {
		return fmt.Errorf("%w\n(what was started is still running: look into %s, then run up again or down)", err, s.path("logs"))
	}
	say("ready in %s", time.Since(began).Round(100*time.Millisecond))
	printEnvironment(s, bin)
	return nil
}

func startAll(ctx context.Context, s settings, bin folders, wanted parts) error {
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"certificates", func() error { return writeCertificates(s) }},
		{"kubeconfigs", func() error { return writeKubeconfigs(s) }},
		{"kernel", func() error { return prepareKernel(ctx) }},
		{"network", func() error { return setUpNetwork(ctx, s) }},
		{"firewall", func() error { return setUpFirewall(ctx, s) }},
		{"cgroups", setUpCgroups},
		{"configuration", func() error {
			return errors.Join(writeContainerdConfig(s), writeNodeConfigs(s), writeDNSConfig(s))
		}},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}

	// containerd and the pause image need no API server: do both concurrently.
	runtime := make(chan error, 1)
	go func() {
		_, err := startContainerd(ctx, s)
		if err == nil {
			err = loadPause(ctx, s)
		}
		runtime <- err
	}()
	api, started, err := startControlPlane(ctx, s, bin.Kubernetes)
	if err == nil {
		err = errors.Join(createStorageClasses(ctx, api), createDNSService(ctx, s, api), letPoliciesBeRead(ctx, api), installProvisioner(s))
	}
	if err = errors.Join(err, <-runtime); err != nil {
		return err
	}
	for _, p := range []program{kubelet(s, bin.Kubernetes), proxy(s, bin.Kubernetes), provisioner(s)} {
		proc, err := start(s, p)
		if err != nil {
			return err
		}
		started = append(started, proc)
	}
	if wanted == everything {
		more, err := startAddOns(ctx, s, bin)
		if err != nil {
			return err
		}
		started = append(started, more...)
	}
	return waitFor(ctx, s, "the node", started, func(ctx context.Context) error { return clusterReady(ctx, s, api) })
}

func programFolders(s settings) (f folders, err error) {
	if f.Kubernetes, _, err = kubernetes.bin(s); err != nil {
		return f, err
	}
	if f.CoreDNS, _, err = coredns.bin(s); err != nil {
		return f, err
	}
	f.NetworkPolicies, _, err = networkPolicies.bin(s)
	return f, err
}

// printEnvironment prints what a shell can eval.
func printEnvironment(s settings, bin folders) {
	fmt.Printf("export KUBECONFIG=%s\n", s.kubeconfig())
	say("kubectl is %s", filepath.Join(bin.Kubernetes, "kubectl"))
}

// writeState creates the state folder. Everything that is done to the machine from here on can be undone.
func writeState(s settings, bin folders) error {
	for _, dir := range []string{s.Dir, s.path("config"), s.path("bin")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return writeJSON(s.path("state.json"), state{s, bin, readSysctls(), absentFolders()}, 0o644)
}

// readState returns nil if there is no cluster, and an empty state if its record is damaged.
func readState(s settings) (*state, error) {
	b, err := os.ReadFile(s.path("state.json"))
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(s.Dir); err != nil {
			return nil, nil //nolint:nilnil,nilerr // no state folder, no cluster
		}
		return &state{}, nil
	}
	if err != nil {
		return nil, err
	}
	old := &state{}
	if err := json.Unmarshal(b, old); err != nil {
		return &state{}, nil //nolint:nilerr // an interrupted write: nothing was started after it
	}
	return old, nil
}
