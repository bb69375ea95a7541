package receipts

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/receipt"
)

const (
	jsonSuffix = ".json"
	sigSuffix  = ".sig"
	// maxLine is the most bytes of a line with an event or an envelope, and of the other files.
	maxLine = 128 << 10
)

// reader collects receipts.
type reader struct {
	signers  receipt.Signers
	found    []found
	problems []Problem
}

// found is a receipt with a valid signature, and where it was.
type found struct {
	*receipt.Verified
	file string
}

func (r *reader) problem(kind Kind, file string, err error) {
	r.problems = append(r.problems, Problem{Kind: kind, File: file, Detail: err.Error()})
}

// path reads a file, or all files below a directory whose names are those of receipts. It returns an error if they cannot be
// read.
func (r *reader) path(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return r.file(name)
	}
	return filepath.WalkDir(name, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		switch filepath.Ext(name) {
		case jsonSuffix, ".jsonl", ".ndjson":
			return r.file(name)
		case sigSuffix:
			of := strings.TrimSuffix(name, sigSuffix)
			if _, err := os.Stat(of); errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(of, jsonSuffix) {
				r.problem(Missing, name, errors.New("the receipt of this signature is missing"))
			}
		}
		return nil
	})
}

// file reads a receipt with its signature next to it, or lines that are envelopes or events.
func (r *reader) file(name string) error {
	sig, err := readSmall(name + sigSuffix)
	switch {
	case err == nil:
		raw, err := readSmall(name)
		if err != nil {
			return err
		}
		r.take(name, func() (*receipt.Verified, error) { return r.signers.VerifySSH(raw, sig) })
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	n := 0
	for lines.Scan() {
		n++
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
			r.line(fmt.Sprintf("%s:%d", name, n), line)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		r.problem(Unreadable, fmt.Sprintf("%s:%d", name, n+1), fmt.Errorf("a line has more than %d bytes", maxLine))
		return nil
	}
	return lines.Err()
}

// line reads an envelope, or an event, which may have one.
func (r *reader) line(where string, line []byte) {
	var of struct {
		PayloadType string `json:"payloadType"`
		SpecVersion string `json:"specversion"`
		Data        struct {
			Receipt json.RawMessage `json:"receipt"`
		} `json:"data"`
	}
	switch err := json.Unmarshal(line, &of); {
	case err != nil:
		r.problem(Unreadable, where, errors.New("not JSON"))
	case of.PayloadType != "":
		line = bytes.Clone(line)
		r.take(where, func() (*receipt.Verified, error) { return r.signers.VerifyEnvelope(line) })
	case of.SpecVersion != "" && len(of.Data.Receipt) == 0: // an event of a different type, or from a time without receipts
	case of.SpecVersion != "":
		r.take(where, func() (*receipt.Verified, error) { return r.signers.VerifyEnvelope(of.Data.Receipt) })
	default:
		r.problem(Unreadable, where, errors.New("neither a receipt with a signature next to it, nor an envelope, nor an event"))
	}
}

func (r *reader) take(where string, verify func() (*receipt.Verified, error)) {
	v, err := verify()
	if err != nil {
		r.problem(Signature, where, err)
		return
	}
	r.found = append(r.found, found{v, where})
}

func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLine+1))
	if err == nil && len(data) > maxLine {
		err = fmt.Errorf("%s has more than %d bytes", name, maxLine)
	}
	return data, err
}
