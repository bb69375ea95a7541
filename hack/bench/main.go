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
	quick, write, again, render, profile, features    bool
}

func parse() (settings, error) {
	var s settings
	flag.StringVar(&s.daemon, "daemon", "bin/sftpd", "the daemon's `program`")
	flag.StringVar(&s.profiled, "profiled", "bin/profiled", "the `program` of the daemon that can be profiled")
	flag.StringVar(&s.openssh, "openssh", "", "`directory` of another OpenSSH, as built by hack/bench/openssh.sh")
	flag.StringVar(&s.peers, "peers", "", "other `servers`, separated by spaces: LABEL=HOST:PORT=CGROUP,user=...,key=...,root=... and so on")
	flag.StringVar(&s.only, "only", "", "run the groups that match a regular `expression`: raw, sftp, parallel, files, list, login, idle")
	flag.StringVar(&s.docs, "docs", "docs", "`directory` of the document")
	flag.StringVar(&s.out, "out", "out/bench", "`directory` for the results of each run")
	flag.IntVar(&s.rounds, "rounds", 0, "`number` of rounds that count, instead of the default")
	flag.BoolVar(&s.features, "features", false, "instead of other servers, compare the daemon with itself with more and more upload features")
	flag.BoolVar(&s.profile, "profile", false, "instead of measuring, print where the daemon spends CPU time in the workloads that match -only")
	flag.BoolVar(&s.quick, "quick", false, "few rounds and small files, to check that everything works")
	flag.BoolVar(&s.write, "write", false, "write the results into the documents even if they come from a quick run or from only some groups")
	flag.BoolVar(&s.again, "again", false, "add the results to those of the run that is in the documents")
	flag.BoolVar(&s.render, "render", false, "instead of measuring, rewrite the documents from their results")
	flag.Parse()
	if flag.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	s.write = s.write || !s.quick && s.only == "" && !s.features
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
	// The client's garbage collector would compete with the servers for the CPU. Transfers are kept in memory for
	// comparison.
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
	ours, err := servers.Sftpd(place, program, servers.Plain)
	if err != nil {
		return nil, err
	}
	if s.features {
		return withFeatures(place, program, ours)
	}
	others, err := otherServers(place, s)
	return append([]*servers.Server{ours}, others...), err
}

// withFeatures adds the daemon with more and more features.
func withFeatures(place *servers.Place, program string, plain *servers.Server) ([]*servers.Server, error) {
	all := []*servers.Server{plain}
	for _, f := range servers.Featured {
		server, err := servers.Sftpd(place, program, f)
		if err != nil {
			return nil, err
		}
		all = append(all, server)
	}
	return all, nil
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
