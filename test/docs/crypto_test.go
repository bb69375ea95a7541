package docs

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/cryptopolicy"
)

// TestCryptoPolicies: the table of algorithms in docs/crypto-policies.md matches the policies.
func TestCryptoPolicies(t *testing.T) {
	want := algorithmTable(cryptopolicy.All())
	if page := read(t, root+"/docs/crypto-policies.md"); !strings.Contains(page, want) {
		t.Errorf("docs/crypto-policies.md must have this table:\n%s", want)
	}
}

// algorithmTable has a row for each algorithm, with its position in each policy's list.
func algorithmTable(policies []cryptopolicy.Policy) string {
	var b strings.Builder
	row := func(cell string, of func(cryptopolicy.Policy) string) {
		b.WriteString("| " + cell + " |")
		for _, p := range policies {
			b.WriteString(strings.TrimRight(" "+of(p), " ") + " |")
		}
		b.WriteString("\n")
	}
	row("Algorithm", func(p cryptopolicy.Policy) string { return "`" + p.Name + "`" })
	b.WriteString("|" + strings.Repeat("---|", 1+len(policies)) + "\n")
	for _, kind := range []struct {
		title string
		list  func(cryptopolicy.Policy) []string
	}{
		{"Key exchange", func(p cryptopolicy.Policy) []string { return p.KeyExchanges }},
		{"Cipher", func(p cryptopolicy.Policy) []string { return p.Ciphers }},
		{"MAC", func(p cryptopolicy.Policy) []string { return p.MACs }},
		{"Host key", func(p cryptopolicy.Policy) []string { return p.HostKeys }},
		{"User's key", func(p cryptopolicy.Policy) []string { return p.PublicKeys }},
	} {
		row("**"+kind.title+"**", func(cryptopolicy.Policy) string { return "" })
		var names []string
		for _, p := range policies {
			for _, name := range kind.list(p) {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
		for _, name := range names {
			row("`"+name+"`", func(p cryptopolicy.Policy) string {
				if i := slices.Index(kind.list(p), name); i >= 0 {
					return strconv.Itoa(i + 1)
				}
				return ""
			})
		}
	}
	row("**RSA keys, bits at least**", func(p cryptopolicy.Policy) string { return strconv.Itoa(p.MinRSABits) })
	return b.String()
}
