package pages

import "regexp"

// Runner is a test that runs commands.
type Runner string

// The tests that run commands.
const (
	Docs      Runner = "test/docs"     // with only the programs
	APIServer Runner = "test/operator" // with an API server, the operator and simulated pods
	Node      Runner = "test/e2e"      // with a node
	Nothing   Runner = ""              // nothing runs them; a rule says why
)

// table names the test that runs the commands of each page, unless a rule says otherwise. TestCommandsExist fails for a page
// with commands that is missing here.
var table = map[string]Runner{
	"README.md":                      Node,
	"CONTRIBUTING.md":                Nothing,
	"charts/sftp-operator/README.md": Node,
	"docs/auditors.md":               APIServer,
	"docs/backup-restore.md":         APIServer,
	"docs/concepts.md":               APIServer,
	"docs/development-cluster.md":    Nothing,
	"docs/development/mutation.md":   Nothing,
	"docs/development/testing.md":    Nothing,
	"docs/event-receivers.md":        APIServer,
	"docs/factors.md":                APIServer,
	"docs/gitops.md":                 Docs,
	"docs/interop.md":                Nothing,
	"docs/keys.md":                   APIServer,
	"docs/kubectl-sftp.md":           APIServer,
	"docs/migrating.md":              APIServer,
	"docs/monitoring.md":             APIServer,
	"docs/performance.md":            Nothing,
	"docs/platform.md":               APIServer,
	"docs/quickstart.md":             Node,
	"docs/receipts.md":               APIServer,
	"docs/retention.md":              APIServer,
	"docs/run-sftpd.md":              Docs,
	"docs/runbooks.md":               APIServer,
	"docs/scale.md":                  Nothing,
	"docs/troubleshooting.md":        APIServer,
	"docs/upgrading.md":              APIServer,
	"docs/verifying.md":              Nothing,
}

// rule overrides the table for commands. The first that matches applies.
type rule struct {
	page    string // "" for all
	command *regexp.Regexp
	by      Runner
	reason  string // why nothing runs it
}

func unless(page, command, reason string) rule {
	return rule{page: page, command: regexp.MustCompile(command), reason: reason}
}

func by(runner Runner, page, command string) rule {
	return rule{page: page, command: regexp.MustCompile(command), by: runner}
}

var rules = []rule{
	// Commands that CI runs in this form, or that would run for a long time.
	unless("", `^make (build|test|verify|lint|try|demo|interop|bench|scale|soak|mutate|release)\b`, "a job of CI or of a release runs the target"),
	unless("docs/interop.md", `^(hack/install-packages.sh|go test)`, "make interop runs the same tests"),
	unless("docs/development/testing.md", `.`, "runs for minutes; the settings make tests that CI runs longer"),
	unless("docs/development-cluster.md", `.`, "make cluster-load runs the same"),

	// Commands that need more than this machine, or would change it.
	unless("docs/quickstart.md", `^docker |^export IMAGE=`, "needs a container engine and a registry; the node has the image under a different name"),
	unless("docs/verifying.md", `.`, "needs a published release; hack/release/registry runs the commands on its own release, and hack/release/node.sh installs one"),
	unless("docs/upgrading.md", `^helm upgrade sftp-operator oci:`, "needs an earlier release; TestDowngrade runs it with the chart of one"),
	unless("docs/performance.md", `.`, "downloads and builds another server to compare with"),
	unless("charts/sftp-operator/README.md", `^helm install .* --create-namespace$`, "needs the published image; docs/quickstart.md installs the chart with a different one"),
	unless("", `^kubectl top `, "needs a metrics server"),
	unless("", `--address sftp\.example\.com|@sftp\.example\.com`, "needs that name in DNS"),
	unless("", `(^|\| )sudo `, "changes the machine"),
	unless("docs/run-sftpd.md", `^Subsystem `, "is a line of sshd_config; test/interop runs OpenSSH's server with it"),

	// Commands that only a person can answer or fill in.
	unless("", `^kubectl sftp totp `, "asks for the code that an app shows; cmd/kubectl-sftp/internal/command tests the dialog"),
	unless("", ` --id ID\b`, "ID stands for one that the list shows"),

	unless("docs/event-receivers.md", ` -f deployment/receiver`, "follows a log until it is interrupted; make demo prints what arrives"),

	// Commands about receipts of real uploads.
	unless("docs/receipts.md", ` --listener `, "no receipt is signed with that listener's key; test/operator compares the keys that it publishes, and the other commands verify with such a file"),
	by(Docs, "docs/receipts.md", `^(for receipt|jq |kubectl sftp receipts verify )`),

	// Commands that need pods that answer, controllers or an installed chart.
	by(APIServer, "docs/gitops.md", `^kubectl apply `),
	by(Node, "", `kubectl (logs|rollout status|port-forward) |kubectl sftp (events|connect|check|purge) |kubectl sftp retention .* --list|^helm `),
	by(Node, "docs/upgrading.md", `^image=|^kubectl wait `),
}

// answers are the exit codes with which commands report what they found, rather than a failure.
var answers = []struct {
	command *regexp.Regexp
	code    int
}{
	{regexp.MustCompile(`kubectl auth can-i `), 1},  // no
	{regexp.MustCompile(`kubectl sftp status`), 1},  // something does not work
	{regexp.MustCompile(`kubectl sftp why `), 3},    // denied
	{regexp.MustCompile(`kubectl sftp why `), 4},    // not everything could be checked
	{regexp.MustCompile(`kubectl sftp import `), 3}, // some lines were rejected
}

// Answers reports whether the command has done its work if it ended with this code.
func (c Command) Answers(code int) bool {
	for _, a := range answers {
		if a.command.MatchString(c.Text) && a.code == code {
			return true
		}
	}
	return code == 0
}

// Pages returns the pages of the table.
func Pages() map[string]bool {
	out := map[string]bool{}
	for page := range table {
		out[page] = true
	}
	return out
}

// RunnerOf returns the test that runs a command of a page.
func RunnerOf(page, command string) Runner {
	by, _ := assigned(page, command)
	return by
}

// assigned returns the test that runs a command, and the index of the rule that says so, or -1.
func assigned(page, command string) (Runner, int) {
	for i, r := range rules {
		if (r.page == "" || r.page == page) && r.command.MatchString(command) {
			return r.by, i
		}
	}
	return table[page], -1
}

// UnusedRules returns the rules that apply to no command.
func UnusedRules() ([]string, error) {
	used := make([]bool, len(rules))
	for page := range table {
		blocks, err := Blocks(page)
		if err != nil {
			return nil, err
		}
		for _, block := range blocks {
			for _, command := range split(block) {
				if _, i := assigned(page, command); i >= 0 {
					used[i] = true
				}
			}
		}
	}
	var out []string
	for i, r := range rules {
		if !used[i] {
			out = append(out, r.page+" "+r.command.String())
		}
	}
	return out, nil
}
