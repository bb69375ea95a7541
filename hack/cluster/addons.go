package main

import (
	"context"
	"slices"
)

// startAddOns starts what an add-on cluster has in addition to the basic one. The rules come last: once they are set,
// connections of pods wait for the program that judges them.
func startAddOns(ctx context.Context, s settings, bin folders) (started []process, err error) {
	for _, p := range addOnPrograms(s, bin) {
		proc, err := start(s, p)
		if err != nil {
			return started, err
		}
		started = append(started, proc)
	}
	return started, setUpPolicyRules(ctx)
}

func addOnPrograms(s settings, bin folders) []program {
	return []program{dns(s, bin.CoreDNS), policies(s, bin.NetworkPolicies)}
}

// addToRunning adds the add-ons to a running basic cluster.
func addToRunning(ctx context.Context, s settings, bin folders) error {
	if err := buildAll(ctx, s, everything); err != nil {
		return err
	}
	started, err := startAddOns(ctx, s, bin)
	if err != nil {
		return err
	}
	if err := waitFor(ctx, s, "the add-ons", started, func(ctx context.Context) error { return healthy(ctx, s) }); err != nil {
		return err
	}
	say("the running cluster now has its add-ons")
	printEnvironment(s, bin)
	return nil
}

// hasAddOns reports whether the add-ons were started, whether or not they still run: one that died counts.
func hasAddOns(s settings) bool {
	processes, err := recorded(s)
	return err == nil && slices.ContainsFunc(processes, func(p process) bool { return slices.Contains(addOnNames, p.Name) })
}
