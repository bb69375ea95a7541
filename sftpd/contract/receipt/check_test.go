package receipt_test

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// chain returns the receipts of a chain.
func chain(t testing.TB, name string, n int) []*receipt.Verified {
	t.Helper()
	var out []*receipt.Verified
	previous := ""
	for i := range n {
		r := example(signer(t, 0))
		r.Chain, r.Sequence, r.Previous, r.Size = name, uint64(i+1), previous, int64(i)
		raw := encode(t, r)
		out = append(out, &receipt.Verified{Receipt: r, Raw: raw})
		previous = receipt.Hash(raw)
	}
	return out
}

// fork returns a receipt in the place of another one.
func fork(t testing.TB, of *receipt.Verified) *receipt.Verified {
	t.Helper()
	r := *of.Receipt
	r.Size += 1000
	return &receipt.Verified{Receipt: &r, Raw: encode(t, &r)}
}

func TestCheck(t *testing.T) {
	c := chain(t, "c", 6)
	id := receipt.ChainID{Listener: "files/public", User: "team-a/acme", Chain: "c"}
	hash := func(i int) string { return receipt.Hash(c[i].Raw) }
	without := func(gone ...int) (out []*receipt.Verified) {
		for i, r := range c {
			keep := true
			for _, g := range gone {
				keep = keep && i != g
			}
			if keep {
				out = append(out, r)
			}
		}
		return out
	}
	for name, tc := range map[string]struct {
		have []*receipt.Verified
		want receipt.Chain
	}{
		"whole":            {c, receipt.Chain{First: 1, Last: 6, Count: 6}},
		"twice":            {append(without(), c...), receipt.Chain{First: 1, Last: 6, Count: 6}},
		"oldest are gone":  {without(0, 1), receipt.Chain{First: 3, Last: 6, Count: 4}},
		"one is missing":   {without(2), receipt.Chain{First: 1, Last: 6, Count: 5, Faults: []receipt.Fault{{Kind: receipt.Missing, From: 3, To: 3, Hash: hash(2)}}}},
		"two are missing":  {without(2, 3), receipt.Chain{First: 1, Last: 6, Count: 4, Faults: []receipt.Fault{{Kind: receipt.Missing, From: 3, To: 4, Hash: hash(3)}}}},
		"here and there":   {without(1, 4), receipt.Chain{First: 1, Last: 6, Count: 4, Faults: []receipt.Fault{{Kind: receipt.Missing, From: 2, To: 2, Hash: hash(1)}, {Kind: receipt.Missing, From: 5, To: 5, Hash: hash(4)}}}},
		"forked":           {append(without(), fork(t, c[5])), receipt.Chain{First: 1, Last: 6, Count: 7, Faults: []receipt.Fault{{Kind: receipt.Forked, From: 6, To: 6}}}},
		"forked inside":    {append(without(), fork(t, c[2])), receipt.Chain{First: 1, Last: 6, Count: 7, Faults: []receipt.Fault{{Kind: receipt.Forked, From: 3, To: 3}}}},
		"one is exchanged": {append(without(2), fork(t, c[2])), receipt.Chain{First: 1, Last: 6, Count: 6, Faults: []receipt.Fault{{Kind: receipt.Broken, From: 3, To: 3, Hash: hash(2)}}}},
	} {
		tc.want.ID = id
		rand.Shuffle(len(tc.have), func(i, j int) { tc.have[i], tc.have[j] = tc.have[j], tc.have[i] })
		have := receipt.Check(tc.have)
		for i := range have {
			for j := range have[i].Faults {
				have[i].Faults[j].ID = "" // all have the same
			}
		}
		if want := []receipt.Chain{tc.want}; !reflect.DeepEqual(have, want) {
			t.Errorf("%s:\nhave %+v\nwant %+v", name, have, want)
		}
	}
}

// TestCheckChains: chains do not depend on each other, nor on the order of receipts.
func TestCheckChains(t *testing.T) {
	a, b := chain(t, "a", 3), chain(t, "b", 4)
	all := append(append([]*receipt.Verified{}, b[1:]...), a[0], a[2])
	have := receipt.Check(all)
	if len(have) != 2 || have[0].ID.Chain != "a" || len(have[0].Faults) != 1 || have[1].First != 2 || len(have[1].Faults) != 0 {
		t.Errorf("%+v", have)
	}
	if have := receipt.Check(nil); len(have) != 0 {
		t.Errorf("nothing has chains: %+v", have)
	}
}
