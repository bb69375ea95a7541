package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"github.com/sftp-operator/sftp-operator/hack/bench/servers"
)

// profiledIDs are the workloads profiled by default.
const profiledIDs = "^(raw-aes128-gcm-32k-(down|up)|sftp-default-(get|put)|parallel-16-(down|up)|files-(1|16)-(put|get)|list|login-curve25519)$"

// profileAll takes a profile of the daemon's CPU time in each workload that matches, prints where most of it went, and counts
// system calls of all servers where perf(1) is installed.
func profileAll(ctx context.Context, s settings) (err error) {
	place, err := servers.NewPlace()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, place.Remove()) }()
	program, err := place.Install(s.profiled)
	if err != nil {
		return err
	}
	profiles, err := place.FreePort()
	if err != nil {
		return err
	}
	ours, err := servers.Sftpd(place, program, servers.Plain, "-profiles", profiles)
	if err != nil {
		return err
	}
	others, err := otherServers(place, s)
	if err != nil {
		return err
	}
	b := newBench(place, append([]*servers.Server{ours}, others...), s.sizes(), os.Stderr)
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	only := s.only
	if only == "" {
		only = profiledIDs
	}
	matches, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	for _, g := range b.plan() {
		for _, w := range g.workloads {
			if !matches.MatchString(w.id) {
				continue
			}
			fmt.Printf("\n### %s: %s\n\n", g.title, w.title)
			if err := b.profile(ctx, w, "http://"+profiles, filepath.Join(s.out, w.id+".prof")); err != nil {
				return err
			}
		}
	}
	return nil
}

// profile profiles the daemon in one workload, after a round that does not count, and counts the calls of all servers.
func (b *bench) profile(ctx context.Context, w workload, address, file string) (err error) {
	defer func() {
		for _, s := range b.servers {
			if w.cleanUp != nil {
				err = errors.Join(err, w.cleanUp(s))
			}
		}
	}()
	for i, s := range b.servers {
		if err := s.Restart(ctx); err != nil {
			return err
		}
		if w.prepare != nil {
			if err := w.prepare(s); err != nil {
				return err
			}
		}
		if _, err := w.run(ctx, s); err != nil {
			fmt.Printf("%s: %v\n", s.Label, err)
			continue
		}
		if err := countCalls(ctx, w, s); err != nil {
			return err
		}
		if i > 0 {
			continue
		}
		if err := b.sample(ctx, w, s, address, file); err != nil {
			return err
		}
	}
	return nil
}

// sample profiles some rounds and prints the top ten lines.
func (b *bench) sample(ctx context.Context, w workload, s *servers.Server, address, file string) error {
	if _, err := fetch(ctx, address+"/start"); err != nil {
		return err
	}
	for range b.sizes.rounds {
		if _, err := w.run(ctx, s); err != nil {
			return err
		}
	}
	profile, err := fetch(ctx, address+"/stop")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, profile, 0o644); err != nil {
		return err
	}
	top, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=10", file).Output()
	fmt.Printf("```\n%s```\n", top)
	return err
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", url, answer.Status, body)
	}
	return body, err
}
