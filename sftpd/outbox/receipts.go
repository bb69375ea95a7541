package outbox

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

// noReceipt is a placeholder for an event's receipt until it is signed.
const noReceipt = "{}"

// receiptField is the text that the receipt replaces. It follows other fields and cannot be within a string, where quotes
// are escaped.
var receiptField = []byte(`,"receipt":` + noReceipt)

// promise returns the contents of an upload's receipt and reserves its place in the event. It returns nil for an upload
// without a receipt.
func (o *outbox) promise(e *events.Event) *receipt.Receipt {
	if !o.receipts {
		return nil
	}
	return o.log.promise(e)
}

func (l *log) promise(e *events.Event) *receipt.Receipt {
	e.Data.Receipt = nil
	r, err := receipt.Of(e)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.unsigned++
		return nil
	}
	e.Data.Receipt = json.RawMessage(noReceipt)
	return r
}

// withReceipt returns the op that records the outcome of an upload, with a receipt if it was published.
func (l *log) withReceipt(rec record) *op {
	o := &op{rec: rec}
	var e events.Event
	if rec.Kind != recorded || json.Unmarshal(rec.Event, &e) != nil {
		return o
	}
	e.Data.Receipt = nil
	if l.signing() != nil && e.Type == events.FilePublished {
		o.receipt = l.promise(&e)
	}
	if raw, err := events.Encode(&e); err == nil {
		o.rec.Event = raw
	} else {
		o.receipt = nil
	}
	return o
}

func (l *log) signing() *receipt.Signer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.signer
}

func (l *log) sign(signer *receipt.Signer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.signer = signer
}

// estimateReceipt returns how many more bytes a record takes with a receipt. It contains the receipt twice, in base64 and
// with its signatures.
func estimateReceipt(r *receipt.Receipt) int64 {
	if r == nil {
		return 0
	}
	return int64(3*(len(r.Path)+len(r.PathBase64)) + 4<<10)
}

// head is where a user's chain ends.
type head struct {
	chain    string
	sequence uint64
	previous string
}

// chains holds the chains of the users that have uploaded since the log began. A chain has a random name and belongs to one
// process. A process abandons it when a refused receipt may have been written, so no two receipts ever have the same place.
type chains map[string]head

// maxChains bounds the number of chains. Beyond it, some users get new chains.
const maxChains = 10_000

// add takes over the heads of chains whose receipts have been written.
func (c *chains) add(heads map[string]head) {
	if len(heads) == 0 {
		return
	}
	if *c == nil {
		*c = chains{}
	}
	maps.Copy(*c, heads)
	for user := range *c {
		if len(*c) <= maxChains {
			break
		}
		delete(*c, user)
	}
}

// issue assigns places to the receipts of a batch and signs them. It returns the chains as they are when the batch is
// written. Signing takes some 100 µs, so it is done on all processors; no lock is held.
func (l *log) issue(batch []*op) (map[string]head, error) {
	signer := l.signing()
	var due []*op
	for _, o := range batch {
		switch {
		case o.receipt == nil:
		case signer == nil:
			o.rec.Event = bytes.Replace(o.rec.Event, receiptField, nil, 1)
		default:
			due = append(due, o)
		}
	}
	if len(due) == 0 {
		return nil, nil
	}
	heads := map[string]head{}
	bodies := make([][]byte, len(due))
	for i, o := range due {
		h, ok := heads[o.rec.User]
		if !ok {
			h, ok = l.chains[o.rec.User]
		}
		if !ok {
			h = head{chain: rand.Text()}
		}
		var err error
		if bodies[i], err = h.place(o.receipt, signer); err != nil {
			return nil, err
		}
		heads[o.rec.User] = h
	}
	return heads, signAll(due, bodies, signer)
}

// place returns the bytes of the chain's next receipt, which becomes its end.
func (h *head) place(r *receipt.Receipt, signer *receipt.Signer) ([]byte, error) {
	h.sequence++
	r.Chain, r.Sequence, r.Previous, r.Key = h.chain, h.sequence, h.previous, signer.Fingerprint()
	raw, err := receipt.Encode(r)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	h.previous = receipt.Hash(raw)
	return raw, nil
}

func signAll(due []*op, bodies [][]byte, signer *receipt.Signer) error {
	workers := min(runtime.GOMAXPROCS(0), len(due))
	errs := make([]error, workers)
	var signing sync.WaitGroup
	for w := range workers {
		signing.Go(func() {
			for i := w; i < len(due) && errs[w] == nil; i += workers {
				errs[w] = due[i].signed(signer.Sign(bodies[i]))
			}
		})
	}
	signing.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// signed puts a receipt into the record, and into its event if it fits: with two paths of maximum length it does not.
func (o *op) signed(e *receipt.Envelope) (err error) {
	if o.rec.Receipt, err = e.Encode(); err != nil {
		return err
	}
	if len(o.rec.For) > 0 && !slices.Contains(o.rec.For, receiptsSink) {
		o.rec.For = append(slices.Clone(o.rec.For), receiptsSink)
	}
	plain, err := e.Plain().Encode()
	if err != nil {
		return err
	}
	if len(o.rec.Event)+len(plain)-len(noReceipt) > events.MaxSize {
		o.rec.Event = bytes.Replace(o.rec.Event, receiptField, nil, 1)
		return nil
	}
	o.rec.Event = bytes.Replace(o.rec.Event, receiptField, append([]byte(`,"receipt":`), plain...), 1)
	return nil
}

// receiptStatus returns the part of the status about receipts. The lock is held.
func (l *log) receiptStatus() *events.ReceiptStatus {
	s := l.x.sinks[l.x.receipts()]
	st := &events.ReceiptStatus{Key: l.signer.Fingerprint(), Issued: l.issued, Pending: s.pending, Without: l.unsigned}
	if l.keeping != nil {
		st.Problem = plainError(l.keeping)
	}
	if l.trimming != nil {
		st.NotRemoved = plainError(l.trimming)
	}
	return st
}
