// Command bench compares the daemon with OpenSSH's server and others: what they use for the same work, on this machine, with
// files on tmpfs. It must be run as root, in the root of the repository: `make bench`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/sftp-operator/sftp-operator/hack/bench/report"
	"github.com/sftp-operator/sftp-operator/hack/bench/servers"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	daemon, profiled, openssh, peers, only, docs, out string
	rounds                                            int
	quick, write, again, render, profile              bool
}

func parse() (settings, error) {
	var s settings
	flag.StringVar(&s.daemon, "daemon", "bin/sftpd", "the daemon's `program`")
	flag.StringVar(&s.profiled, "profiled", "bin/profiled", "the daemon's `program` that can be profiled")
	flag.StringVar(&s.openssh, "openssh", "", "`directory` of another OpenSSH, as hack/bench/openssh.sh builds it")
	flag.StringVar(&s.peers, "peers", "", "more `servers`: LABEL=HOST:PORT=CGROUP,user=...,key=...,root=... and so on")
	flag.StringVar(&s.only, "only", "", "run the groups that match a regular `expression`: raw, sftp, parallel, files, list, login, idle")
	flag.StringVar(&s.docs, "docs", "docs", "`directory` of the document")
	flag.StringVar(&s.out, "out", "out/bench", "`directory` for the results of each run")
	flag.IntVar(&s.rounds, "rounds", 0, "`number` of rounds that count, if not the usual")
	flag.BoolVar(&s.profile, "profile", false, "measure nothing, print where the daemon's CPU time goes, in workloads that -only matches")
	flag.BoolVar(&s.quick, "quick", false, "few rounds and small files: shows that all works")
	flag.BoolVar(&s.write, "write", false, "write the results into the documents, though they be of a quick run or of some groups")
	flag.BoolVar(&s.again, "again", false, "add the results to those of the run that the documents have")
	flag.BoolVar(&s.render, "render", false, "measure nothing, write the documents from the results that they have")
	flag.Parse()
	if flag.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	s.write = s.write || !s.quick && s.only == ""
	return s, nil
}

func run() error {
	s, err := parse()
	if err != nil {
		return err
	}
	results := filepath.Join(s.docs, report.JSONFile)
	if s.render {
		f, err := report.Load(results)
		if err != nil {
			return err
		}
		return report.WriteDocs(s.docs, f)
	}
	only, err := regexp.Compile(s.only)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if s.profile {
		return profileAll(ctx, s)
	}
	r, failed := measureAll(ctx, s, only)
	if ctx.Err() != nil {
		return errors.Join(errors.New("interrupted"), failed)
	}
	if len(r.Workloads) == 0 {
		return errors.Join(errors.New("nothing was measured"), failed)
	}
	fmt.Println(report.Generated(report.File{Runs: []report.Run{r}}))
	return errors.Join(keep(s, results, r), failed)
}

// keep saves the results of a run.
func keep(s settings, results string, r report.Run) error {
	f := report.File{Runs: []report.Run{r}}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	if err := report.Save(filepath.Join(s.out, report.JSONFile), f); err != nil {
		return err
	}
	if !s.write {
		return nil
	}
	if s.again {
		before, err := report.Load(results)
		if err != nil {
			return err
		}
		f.Runs = append(f.Runs[:0], before.Runs[0], r)
	}
	if err := report.Save(results, f); err != nil {
		return err
	}
	return report.WriteDocs(s.docs, f)
}

// measureAll starts the servers, measures, and cleans up.
func measureAll(ctx context.Context, s settings, only *regexp.Regexp) (r report.Run, err error) {
	place, err := servers.NewPlace()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, place.Remove()) }()
	all, err := prepare(place, s)
	if err != nil {
		return r, err
	}
	size := s.sizes()
	r = report.Run{
		Started: time.Now().UTC().Truncate(time.Second), Quick: s.quick, Rounds: size.rounds,
		Environment: report.ReadEnvironment(), Servers: map[string]string{},
	}
	for _, server := range all {
		r.Labels = append(r.Labels, server.Label)
		if err := server.Restart(ctx); err != nil {
			return r, err
		}
		if r.Servers[server.Label], err = server.Version(ctx); err != nil {
			return r, err
		}
		if server.Password != "" {
			r.Servers[server.Label] += ", passwords by " + server.PasswordHash
		}
	}
	// The client's garbage collector would use the servers' CPU time. Transfers are held in memory to be compared.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(6 * gib)
	r.Workloads, err = newBench(place, all, size, os.Stderr).run(ctx, only)
	return r, err
}

// prepare makes all servers ready to start.
func prepare(place *servers.Place, s settings) ([]*servers.Server, error) {
	program, err := place.Install(s.daemon)
	if err != nil {
		return nil, err
	}
	ours, err := servers.Sftpd(place, program)
	if err != nil {
		return nil, err
	}
	others, err := otherServers(place, s)
	return append([]*servers.Server{ours}, others...), err
}

func otherServers(place *servers.Place, s settings) ([]*servers.Server, error) {
	sshd, err := servers.Sshd(place)
	if err != nil {
		return nil, err
	}
	others := []*servers.Server{sshd}
	if s.openssh != "" {
		newer, err := servers.SshdIn(place, report.NewerOpenSSH, s.openssh)
		if err != nil {
			return nil, err
		}
		others = append(others, newer)
	}
	peers, err := servers.Peers(place, s.peers)
	return append(others, peers...), err
}

func (s settings) sizes() sizes {
	size := full
	if s.quick {
		size = quick
	}
	if s.rounds > 0 {
		size.rounds = s.rounds
	}
	return size
}
