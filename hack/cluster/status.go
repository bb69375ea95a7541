package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The processes of a running cluster, and those that a basic one does not have.
var (
	basicNames = []string{
		"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "containerd", "kubelet", "kube-proxy", provisionerName,
	}
	addOnNames = []string{"coredns", policyProgram}
	components = slices.Concat(basicNames, addOnNames)
)

// allRun returns nil if every component's process runs, including those of the add-ons if they were ever started.
func allRun(s settings) error {
	processes, err := recorded(s)
	if err != nil {
		return err
	}
	expected := basicNames
	if hasAddOns(s) {
		expected = components
	}
	var errs []error
	for _, name := range expected {
		i := slices.IndexFunc(processes, func(p process) bool { return p.Name == name })
		if i < 0 || !processes[i].runs() {
			errs = append(errs, fmt.Errorf("%s is not running (log: %s)", name, s.log(name)))
		}
	}
	return errors.Join(errs...)
}

// healthy returns nil if every component runs and answers, and the node is ready.
func healthy(ctx context.Context, s settings) error {
	if err := allRun(s); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := ctr(ctx, s, "version"); err != nil {
		return err
	}
	api, err := newAPI(s)
	if err != nil {
		return err
	}
	return errors.Join(api.get(ctx, "/readyz", nil), clusterReady(ctx, s, api))
}

func status(ctx context.Context, s settings) error {
	old, err := readState(s)
	if err != nil {
		return err
	}
	if old == nil {
		return errors.New("no cluster: run up")
	}
	processes, err := recorded(s)
	if err != nil {
		return err
	}
	for _, p := range processes {
		word := "dead"
		if p.runs() {
			word = "runs"
		}
		fmt.Printf("%-24s %-5s pid %-8d %s\n", p.Name, word, p.PID, s.log(p.Name))
	}
	fmt.Printf("%-24s %s\n%-24s %s\n", "kubeconfig", s.kubeconfig(), "programs", old.Folders.Kubernetes)
	if err := healthy(ctx, s); err != nil {
		return fmt.Errorf("not healthy: %w", err)
	}
	fmt.Println("healthy")
	return nil
}
