package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/controllers/render"
)

// A digest appears in the history once, whatever its position was before.
func TestBackToAnEarlierVersion(t *testing.T) {
	for _, digest := range []string{"1", "2", "3"} {
		var h History
		if h.latest() != nil {
			t.Error("an empty history has a version")
		}
		for _, d := range []string{"1", "2", "3"} {
			h.Note(version(d))
		}
		back := version(digest)
		if h.Note(back); h.Find(digest) != back || h.latest() != back || len(h.versions) != 3 {
			t.Errorf("back to %s: %d versions", digest, len(h.versions))
		}
	}
}

// One user moves to a shard that many users join: the shard that it leaves is written first, whichever that is.
func TestOneOfManyMoves(t *testing.T) {
	r := newRig(t)
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprint("u", i))
	}
	with := func(more ...string) string { return strings.Join(append(slices.Clone(many), more...), " ") }
	r.want("0 1 config", true, "z", "x y")
	r.want("1 0 config", true, with("x", "z"), "y")
}

// An unchanged configuration costs one check of each Secret's metadata, and no more.
func TestLooksAtMetadataOnly(t *testing.T) {
	r := newRig(t)
	r.want("0 1 config", true, "a", "b")
	var looks []string
	r.secrets.Fail = func(verb, name string) error {
		looks = append(looks, verb+" "+name)
		return nil
	}
	r.want("", true, "a", "b")
	want := []string{"get " + render.ShardSecretName(r.l, 0), "get " + render.ShardSecretName(r.l, 1), "get " + render.ConfigSecretName(r.l)}
	if !slices.Equal(looks, want) {
		t.Errorf("calls %q, want %q", looks, want)
	}
}

// No pod can load a configuration that the API server refused.
func TestNothingIsWritten(t *testing.T) {
	r := newRig(t)
	r.want("0 config", true, "a")
	r.fail(errDown, "apply", 0)
	if res, calls := r.write("a=2"); res.Wrote || calls != "" || !errors.Is(res.Err, errDown) {
		t.Errorf("%q %+v", calls, res)
	}
}

// Shards that the listener no longer uses are kept as long as settings name them.
func TestSurplusIsNamed(t *testing.T) {
	r := newRig(t)
	r.want("0 1 config", true, "a", "b")
	r.fail(errDown, "apply", -1)
	if res, calls := r.write("a"); calls != "" || !errors.Is(res.Err, errDown) || r.secrets.Secret("team", render.ShardSecretName(r.l, 1)) == nil {
		t.Errorf("%q %+v", calls, res)
	}
	r.secrets.Fail = nil
	if res, calls := r.write("a"); calls != "config delete 1" || !res.Complete {
		t.Errorf("%q %+v", calls, res)
	}
}
