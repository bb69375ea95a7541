package receipts

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// Kind is what is wrong.
type Kind string

// The kinds, in the order of their weight.
const (
	// Unreadable is something that is not a receipt.
	Unreadable Kind = "Unreadable"
	// Signature is a receipt that was changed, or signed with a key that may not sign.
	Signature Kind = "Signature"
	// Missing is a receipt that is absent, although another one proves that it existed.
	Missing Kind = "Missing"
	// Forked and Exchanged are receipts that do not belong in their place, although they are signed.
	Forked    Kind = "Forked"
	Exchanged Kind = "Exchanged"
	// NoFile is an uploaded file that does not exist, OtherContent one with a different size or checksum.
	NoFile       Kind = "NoFile"
	OtherContent Kind = "OtherContent"
)

// Problem is something that is wrong.
type Problem struct {
	Kind Kind `json:"kind"`
	// File is where it shows.
	File string `json:"file,omitempty"`
	// Path is the uploaded file's.
	Path   string `json:"path,omitempty"`
	Detail string `json:"detail"`
}

// Chain is a chain that some of the receipts belong to.
type Chain struct {
	Listener string `json:"listener"`
	User     string `json:"user"`
	Chain    string `json:"chain"`
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Receipts int    `json:"receipts"`
}

// Report is the result.
type Report struct {
	OK bool `json:"ok"`
	// Receipts is how many have a valid signature, Files how many files have the size and checksum of their latest receipt.
	Receipts int       `json:"receipts"`
	Files    int       `json:"files,omitempty"`
	Chains   []Chain   `json:"chains"`
	Problems []Problem `json:"problems"`
}

// Has reports whether there is a problem of some kinds.
func (r *Report) Has(kinds ...Kind) bool {
	return slices.ContainsFunc(r.Problems, func(p Problem) bool { return slices.Contains(kinds, p.Kind) })
}

// ErrSeveralUsers is returned for files if it is not known which user they belong to.
var ErrSeveralUsers = errors.New("the receipts belong to several users, whose files may have the same paths: verify one user's at a time")

// Options of Verify.
type Options struct {
	// Names are files and directories with receipts.
	Names   []string
	Signers receipt.Signers
	// Files is a directory with the uploaded files, as the user sees them; "" checks none.
	Files string
}

// Verify verifies receipts. It returns an error if they cannot be read.
func Verify(o Options) (*Report, error) {
	r := &reader{signers: o.Signers}
	for _, name := range o.Names {
		if err := r.path(name); err != nil {
			return nil, err
		}
	}
	out := &Report{Receipts: len(r.found), Chains: []Chain{}, Problems: append([]Problem{}, r.problems...)}
	out.chains(r.found)
	if o.Files != "" {
		if err := out.files(o.Files, r.found); err != nil {
			return nil, err
		}
	}
	out.OK = len(out.Problems) == 0
	return out, nil
}

func (r *Report) chains(all []found) {
	where := map[string]string{}
	var verified []*receipt.Verified
	for _, f := range all {
		where[f.ID] = cmp.Or(where[f.ID], f.file)
		verified = append(verified, f.Verified)
	}
	for _, c := range receipt.Check(verified) {
		r.Chains = append(r.Chains, Chain{c.ID.Listener, c.ID.User, c.ID.Chain, c.First, c.Last, c.Count})
		for _, f := range c.Faults {
			r.Problems = append(r.Problems, fault(c.ID.Chain, f, where[f.ID]))
		}
	}
}

func fault(chain string, f receipt.Fault, file string) Problem {
	p := Problem{File: file}
	switch f.Kind {
	case receipt.Missing:
		p.Kind = Missing
		p.Detail = fmt.Sprintf("receipt %d of chain %s is missing; it has the SHA-256 %s", f.To, chain, f.Hash)
		if f.From < f.To {
			p.Detail = fmt.Sprintf("receipts %d to %d of chain %s are missing; the last of them has the SHA-256 %s", f.From, f.To, chain, f.Hash)
		}
	case receipt.Forked:
		p.Kind = Forked
		p.Detail = fmt.Sprintf("chain %s has two different receipts %d", chain, f.From)
	case receipt.Broken:
		p.Kind = Exchanged
		p.Detail = fmt.Sprintf("receipt %d of chain %s is not the one that the next receipt names, which has the SHA-256 %s", f.From, chain, f.Hash)
	}
	return p
}

// latest returns the last receipt for each path: what a file's content should be now, if only uploads have changed it.
func latest(all []found) (out []found, err error) {
	by := map[string]found{}
	for _, f := range all {
		if f.Listener != all[0].Listener || f.User != all[0].User {
			return nil, ErrSeveralUsers
		}
		path, err := f.FullPath()
		if err != nil {
			return nil, err
		}
		if before, ok := by[path]; !ok || later(f, before) {
			by[path] = f
		}
	}
	for _, f := range by {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b found) int { return strings.Compare(a.Path+a.PathBase64, b.Path+b.PathBase64) })
	return out, nil
}

// later reports whether an upload came after another one. In a chain the sequence decides, otherwise the clocks of the pods.
func later(a, b found) bool {
	if a.Chain == b.Chain {
		return a.Sequence > b.Sequence
	}
	return a.Published.After(b.Published)
}
