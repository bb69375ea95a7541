package receipt

import (
	"cmp"
	"slices"
)

// ChainID identifies a chain.
type ChainID struct{ Listener, User, Chain string }

// Chain describes the part of a chain that was found.
type Chain struct {
	ID ChainID
	// First and Last are the lowest and the highest sequence, and Count how many there are. A chain that does not begin with 1 is
	// still complete: daemons remove old receipts from its start. Nothing shows whether there were receipts after the last one.
	First, Last uint64
	Count       int
	Faults      []Fault
}

// FaultKind is what is wrong in a chain.
type FaultKind int

const (
	// Missing: receipts are missing, as the next one shows.
	Missing FaultKind = iota
	// Forked: two receipts have the same place.
	Forked
	// Broken: a receipt is not the one that the next one refers to.
	Broken
)

// Fault is something that is wrong in a chain.
type Fault struct {
	Kind FaultKind
	// From and To are the sequences of the missing receipts, or of the wrong one.
	From, To uint64
	// Hash is that of the last missing receipt, or of the one that should be in the wrong one's place; "" for a fork.
	Hash string
	// ID of the receipt that shows it.
	ID string
}

// Check returns the chains of receipts, in an order that does not depend on that of the receipts. Signatures
// are not checked. The same receipt may occur several times.
func Check(receipts []*Verified) []Chain {
	by := map[ChainID][]link{}
	for _, r := range receipts {
		id := ChainID{r.Listener, r.User, r.Chain}
		by[id] = append(by[id], link{r.Receipt, Hash(r.Raw)})
	}
	out := make([]Chain, 0, len(by))
	for id, links := range by {
		out = append(out, checkChain(id, links))
	}
	slices.SortFunc(out, func(a, b Chain) int {
		return cmp.Or(cmp.Compare(a.ID.Listener, b.ID.Listener), cmp.Compare(a.ID.User, b.ID.User), cmp.Compare(a.ID.Chain, b.ID.Chain))
	})
	return out
}

type link struct {
	*Receipt
	hash string
}

func checkChain(id ChainID, links []link) Chain {
	slices.SortFunc(links, func(a, b link) int { return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.hash, b.hash)) })
	links = slices.CompactFunc(links, func(a, b link) bool { return a.hash == b.hash })
	c := Chain{ID: id, First: links[0].Sequence, Last: links[len(links)-1].Sequence, Count: len(links)}
	for i := 1; i < len(links); i++ {
		before, this := links[i-1], links[i]
		switch {
		case this.Sequence == before.Sequence:
			c.Faults = append(c.Faults, Fault{Kind: Forked, From: this.Sequence, To: this.Sequence, ID: this.ID})
		case this.Sequence > before.Sequence+1:
			c.Faults = append(c.Faults, Fault{Kind: Missing, From: before.Sequence + 1, To: this.Sequence - 1, Hash: this.Previous, ID: this.ID})
		case !follows(links[:i], this):
			c.Faults = append(c.Faults, Fault{Kind: Broken, From: before.Sequence, To: before.Sequence, Hash: this.Previous, ID: this.ID})
		}
	}
	return c
}

// follows reports whether a receipt refers to one of those directly before it. There are several if the chain forks there.
func follows(before []link, this link) bool {
	for i := len(before) - 1; i >= 0 && before[i].Sequence+1 == this.Sequence; i-- {
		if before[i].hash == this.Previous {
			return true
		}
	}
	return false
}
