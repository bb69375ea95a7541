package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

const modulePath = "github.com/sftp-operator/sftp-operator/"

// pack is a package to mutate, and the packages whose tests must notice it.
type pack struct {
	path  string   // below the module, such as controllers/attach
	tests []string // tried in this order
	skip  string   // tests that take too long to run for each mutant, as a regular expression
	open  bool     // not all of its survivors have been judged yet, so it is tried by name only
}

// packages whose mutants are counted in docs/development/mutation.md: the code that makes decisions without I/O. make mutate
// tries those that are not open without PKG. Each is tested by its own tests, and by those of the packages named here.
var packages = []pack{
	{path: "controllers/apply", open: true},
	{path: "controllers/attach"},
	{path: "controllers/compile", open: true},
	{path: "controllers/conditions"},
	{path: "controllers/credentials"},
	{path: "controllers/hostkey"},
	{path: "controllers/key", open: true, skip: "^TestGenerateAndParse$/^RSA4096$"},
	{path: "controllers/listener/access", open: true},
	{path: "controllers/listener/delivery"},
	{path: "controllers/listener/outcome"},
	{path: "controllers/listener/status"},
	{path: "controllers/render"},
	{path: "controllers/revocation", skip: "^TestAgainstOpenSSH$"},
	{path: "controllers/rollout"},
	{path: "controllers/shard"},
	{path: "sftpd/contract/networks"},
	{path: "sftpd/contract/config"},
	{path: "sftpd/penalty"},
	{path: "controllers/keptsecret", tests: []string{"controllers/receiptkey"}, open: true},
	{path: "controllers/receiptkey", open: true},
	{path: "controllers/relay", open: true},
	{path: "sftpd/contract/totp"},
	// The daemon. The skipped tests measure time, count system calls, or look for races for seconds.
	{path: "sftpd/admission"},
	{path: "sftpd/auth", open: true, skip: "^TestPasswordTime$"},
	{path: "sftpd/flow", open: true},
	{path: "sftpd/handshake"},
	{path: "sftpd/reload"},
	{path: "sftpd/sftp", open: true, skip: "^(TestRepliesOfAListing|TestListing|TestEndlessReaddir|TestRaceOfRequests|TestSystemCallsOfWrites)$"},
	{path: "sftpd/snapshot"},
	// Events, receipts and retention.
	{path: "sftpd/outbox", open: true},
	{path: "sftpd/receipts", open: true},
	{path: "sftpd/relay/guard", open: true},
	{path: "sftpd/relay/outcome", open: true},
	{path: "sftpd/relay/pump", open: true},
	{path: "sftpd/relay/queue", open: true},
	{path: "sftpd/relay/send", open: true},
	{path: "sftpd/retention", open: true, skip: "^TestManyFiles$"},
	// What the plug-in decides.
	{path: "cmd/kubectl-sftp/internal/explain", open: true},
	{path: "cmd/kubectl-sftp/internal/migrate", open: true},
	{path: "cmd/kubectl-sftp/internal/purge", open: true},
	{path: "cmd/kubectl-sftp/internal/receipts", open: true},
	// Split from sftpd/server, each with its own job.
	{path: "sftpd/audit"},
	{path: "sftpd/directories"},
	{path: "sftpd/drain", open: true},
	{path: "sftpd/hostproof", open: true},
	{path: "sftpd/keyuse", open: true},
	{path: "sftpd/logqueue"},
	{path: "sftpd/report", open: true},
	{path: "sftpd/subsystem", open: true},
	{path: "sftpd/sweep", open: true},
	{path: "sftpd/verdict", open: true},
	{path: "sftpd/peruser", open: true},
	{path: "sftpd/vfs", open: true, skip: "^(TestRaceOfOperations|TestRaceOfSubPath|TestNothingOutsideIsReached|TestListing|TestTwoWritersOfOneName)$"},
}

// selectPackages returns the packages that match the patterns of go list, or all of the list without any pattern.
func selectPackages(ctx context.Context, patterns []string) ([]pack, error) {
	var out []pack
	if len(patterns) == 0 {
		for _, p := range packages {
			if p.open {
				continue
			}
			if _, err := os.Stat(p.path); err != nil {
				return nil, fmt.Errorf("packages.go: %w", err)
			}
			out = append(out, p.withOwn())
		}
		return out, nil
	}
	listed, err := goList(ctx, append([]string{"-f", "{{.ImportPath}}"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	for path := range strings.FieldsSeq(string(listed)) {
		p := pack{path: strings.TrimPrefix(path, modulePath)}
		if i := slices.IndexFunc(packages, func(q pack) bool { return q.path == p.path }); i >= 0 {
			p = packages[i]
		}
		out = append(out, p.withOwn())
	}
	return out, nil
}

// withOwn puts the package's own tests first.
func (p pack) withOwn() pack {
	p.tests = append([]string{p.path}, p.tests...)
	return p
}
