package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sftp-operator/sftp-operator/api/v1alpha1"
)

func (o overview) printTable(w io.Writer) error {
	if len(o.Listeners)+len(o.Users) == 0 {
		fmt.Fprintln(w, "No SFTPListeners and no SFTPUsers.")
		return nil
	}
	var t table
	if len(o.Listeners) > 0 {
		t.add("NAMESPACE", "LISTENER", "READY", "ADDRESS", "USERS", "PROBLEM")
		for _, l := range o.Listeners {
			t.add(l.Namespace, l.Name, yesNo(l.Ready), first(l.Addresses), strconv.Itoa(int(l.AttachedUsers)), short(l.Problems))
		}
		if err := t.print(w); err != nil {
			return err
		}
	}
	if len(o.Users) == 0 {
		return nil
	}
	if len(o.Listeners) > 0 {
		fmt.Fprintln(w)
	}
	t = table{}
	t.add("NAMESPACE", "USER", "READY", "LOGIN", "LISTENER", "KEYS", "PASSWORD", "PROBLEM")
	for _, u := range o.Users {
		t.add(u.Namespace, u.Name, yesNo(u.Ready), u.Username, u.Listener, strconv.Itoa(len(u.Keys)), yesNo(u.Password), short(u.Problems))
	}
	return t.print(w)
}

func (o overview) printDetails(w io.Writer) {
	for i, l := range o.Listeners {
		if i > 0 {
			fmt.Fprintln(w)
		}
		l.print(w)
	}
	for i, u := range o.Users {
		if i > 0 || len(o.Listeners) > 0 {
			fmt.Fprintln(w)
		}
		u.print(w)
	}
}

func (l listenerSummary) print(w io.Writer) {
	fmt.Fprintf(w, "SFTPListener %s/%s %s.\n", l.Namespace, l.Name, works(l.Ready, "clients can log in"))
	field(w, "Addresses", l.Addresses...)
	if l.NodePort != 0 {
		field(w, "Node port", fmt.Sprintf("%d (kubectl get nodes -o wide shows the addresses of nodes)", l.NodePort))
	}
	var keys []string
	for _, k := range l.HostKeys {
		keys = append(keys, k.lines(l.AttachedUsers)...)
	}
	field(w, "Host keys", keys...)
	field(w, "Not learned", l.notLearned()...)
	field(w, "Crypto policy", l.CryptoPolicy)
	field(w, "Attached users", strconv.Itoa(int(l.AttachedUsers)))
	for _, u := range l.Users {
		line := fmt.Sprintf("%s/%s", u.Namespace, u.Name)
		if u.Username != "" && u.Username != u.Name {
			line += " as " + u.Username
		}
		if p := short(u.Problems); p != "" {
			line += ": " + p
		} else if !u.Ready {
			line += ": not ready"
		}
		fmt.Fprintf(w, "    %s\n", line)
	}
	if l.UsersIncomplete {
		fmt.Fprintln(w, "    Users of other namespaces are not shown: you may not list them.")
	}
	printProblems(w, l.Problems)
}

// lines describe a host key and its rotation.
func (k hostKey) lines(users int32) []string {
	first := fmt.Sprintf("%s %s (SFTPKey %s)", k.Type, k.Fingerprint, k.Name)
	if k.Revision > 1 {
		first = fmt.Sprintf("%s %s (SFTPKey %s, revision %d)", k.Type, k.Fingerprint, k.Name, k.Revision)
	}
	out := []string{first}
	say := func(format string, args ...any) { out = append(out, "  "+fmt.Sprintf(format, args...)) }
	if k.State != "" && k.State != string(v1alpha1.HostKeyActive) {
		say("%s; %d of %d users have learned it", k.State, k.ProvedUsers, users)
	}
	if t := k.NextStateTime; t != nil {
		what := "Active from %s"
		if k.State == string(v1alpha1.HostKeyRetiring) {
			what = "removed at %s"
		}
		say(what, t.Format(time.RFC3339))
	}
	if k.WaitingFor != "" {
		say("it waits until %s", waits[k.WaitingFor])
	}
	if t := k.CertificateExpirationTime; t != nil {
		say("with a host certificate until %s", t.Format(time.RFC3339))
	}
	return out
}

var waits = map[string]string{
	string(v1alpha1.HostKeyWaitPods):        "all ready pods, and at least one, have loaded its state",
	string(v1alpha1.HostKeyWaitRetiringKey): "no other key is Retiring: clients must not lose two at once",
	string(v1alpha1.HostKeyWaitNewKey):      "the keys that replace it are Active",
}

// notLearned returns the users that have not learned a host key yet.
func (l listenerSummary) notLearned() []string {
	var out []string
	for _, u := range l.Users {
		for _, k := range l.HostKeys {
			if u.accepted && k.State == string(v1alpha1.HostKeyAdvertised) && !slices.Contains(u.ProvedHostKeys, k.Fingerprint) {
				out = append(out, fmt.Sprintf("%s/%s, of %s", u.Namespace, u.Name, k.Fingerprint))
			}
		}
	}
	return out
}

func (u userSummary) print(w io.Writer) {
	fmt.Fprintf(w, "SFTPUser %s/%s %s.\n", u.Namespace, u.Name, works(u.Ready, "can log in"))
	field(w, "Listener", u.Listener)
	field(w, "Login name", u.Username)
	field(w, "Address", u.Address)
	var keys []string
	for _, k := range u.Keys {
		keys = append(keys, fmt.Sprintf("%s %s, last used: %s", k.Fingerprint, k.State, cmp.Or(k.LastUsedDate, "never")))
	}
	field(w, "Keys", keys...)
	field(w, "Password", yesNo(u.Password))
	if u.TOTP {
		field(w, "Code of an app", yesNo(true))
	}
	var methods []string
	for _, m := range u.Methods {
		methods = append(methods, m.String())
	}
	field(w, "Methods", methods...)
	if u.ExpirationTime != nil {
		field(w, "Expires", u.ExpirationTime.Format(time.RFC3339))
	}
	field(w, "Last refusal", refusal(u.LastRefusal)...)
	printProblems(w, u.Problems)
}

// refusal describes a refused login, in lines.
func refusal(r *v1alpha1.LoginRefusal) []string {
	if r == nil {
		return nil
	}
	first := fmt.Sprintf("%s: %s", r.Time.UTC().Format(time.RFC3339), r.Reason)
	if r.SourceIP != "" {
		first += " from " + r.SourceIP
	}
	if r.KeyFingerprint != "" {
		first += " offering " + r.KeyFingerprint
	}
	out := []string{first}
	if r.Message != "" {
		out = append(out, "  "+r.Message)
	}
	if r.Count > 1 {
		out = append(out, fmt.Sprintf("  %d refused since %s", r.Count, r.Since.UTC().Format(time.RFC3339)))
	}
	return out
}

func printProblems(w io.Writer, list []problem) {
	for _, p := range list {
		fmt.Fprintf(w, "  Problem: %s: %s\n", p.Reason, p.Message)
		if p.Advice != "" {
			fmt.Fprintf(w, "    %s.\n", p.Advice)
		}
	}
}

// field prints a name and its values, one per line.
func field(w io.Writer, name string, values ...string) {
	for i, v := range values {
		switch {
		case v == "":
		case i == 0:
			fmt.Fprintf(w, "  %-15s %s\n", name+":", v)
		default:
			fmt.Fprintf(w, "  %-15s %s\n", "", v)
		}
	}
}

func works(ready bool, what string) string {
	if ready {
		return "is ready: " + what
	}
	return "is not ready"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func short(list []problem) string {
	reasons := make([]string, 0, len(list))
	for _, p := range list {
		reasons = append(reasons, p.Reason)
	}
	return strings.Join(reasons, ", ")
}
