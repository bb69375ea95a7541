package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

// clusterDump returns everything in the cluster that people can read except Secrets: objects of all kinds, including events,
// and logs.
func clusterDump(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	kinds, err := kubectl("api-resources", "--verbs=list", "-o", "name")
	must(t, err)
	for kind := range strings.FieldsSeq(kinds) {
		if kind == "secrets" {
			continue
		}
		text, err := kubectl("get", kind, "-A", "-o", "yaml", "--show-managed-fields")
		must(t, err)
		out["objects "+kind] = text
	}
	if !strings.Contains(out["objects sftpusers.sftp-operator.io"], "kind: SFTPUser") {
		t.Fatal("the dump holds no SFTPUser")
	}
	pods, err := kubectl("get", "pods", "-A", "-l", "app.kubernetes.io/name in (sftpd, sftp-operator)", "-o",
		`jsonpath={range .items[*]}{.metadata.namespace}{" "}{.metadata.name}{"\n"}{end}`)
	must(t, err)
	for line := range strings.Lines(pods) {
		ns, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		text, err := kubectl("-n", ns, "logs", name, "--all-containers")
		if err != nil { // it may have been deleted together with another test's namespace
			if _, gone := kubectl("-n", ns, "get", "pod", name, "--ignore-not-found=false"); gone != nil {
				continue
			}
			must(t, err)
		}
		out["log "+ns+"/"+name] = text
	}
	return out
}

// passwordForms are the ways in which a careless program would print a password.
func passwordForms(password string) []string {
	return []string{
		password,
		base64.StdEncoding.EncodeToString([]byte(password)),
		base64.StdEncoding.EncodeToString([]byte(password + "\n")),
		hex.EncodeToString([]byte(password)),
	}
}

func containsFold(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}
