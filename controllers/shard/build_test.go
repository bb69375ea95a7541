package shard

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

func record(n int) Record {
	return Record{
		Seniority: int64(n),
		User: config.User{
			Username: fmt.Sprint("user", n), UID: fmt.Sprintf("uid-%04d", n), Namespace: "team", Name: fmt.Sprint("user", n),
			Methods: []string{"publickey"}, Keys: []config.Key{{PublicKey: "ssh-ed25519 AAAA"}},
			Mounts: []config.Mount{{Path: "/", Volume: "home", Access: config.ReadWrite}},
		},
	}
}

// big is a record of some 300 kB: three fit into a shard.
func big(n int) Record {
	r := record(n)
	r.User.Keys = nil
	for i := range 100 {
		r.User.Keys = append(r.User.Keys, config.Key{PublicKey: fmt.Sprint(i, strings.Repeat("A", 3000))})
	}
	return r
}

func records(n int) []Record {
	out := make([]Record, n)
	for i := range out {
		out[i] = record(i)
	}
	return out
}

func build(t *testing.T, records []Record, count int) ([][]byte, map[string]bool) {
	t.Helper()
	shards, left, err := Build(records, count)
	if err != nil {
		t.Fatal(err)
	}
	return shards, left
}

func TestCount(t *testing.T) {
	for maxUsers, want := range map[int]int{1: 1, 625: 1, 626: 2, 1000: 2, 10000: 16, 40000: 64} {
		if got := Count(maxUsers); got != want {
			t.Errorf("Count(%d) = %d, want %d", maxUsers, got, want)
		}
	}
}

func TestEveryRecordIsInOneShard(t *testing.T) {
	shards, left := build(t, records(200), 4)
	if len(shards) != 4 || len(left) != 0 {
		t.Fatalf("%d shards, %d left", len(shards), len(left))
	}
	seen := map[string]int{}
	for i, s := range shards {
		n := 0
		for line := range bytes.Lines(s) {
			u, err := config.DecodeUser(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				t.Fatal(err)
			}
			seen[u.UID]++
			n++
		}
		if n < 25 {
			t.Errorf("shard %d has %d of 200 records, want them spread evenly", i, n)
		}
	}
	for _, r := range records(200) {
		if seen[r.User.UID] != 1 {
			t.Errorf("%s stands %d times", r.User.UID, seen[r.User.UID])
		}
	}
}

func TestNoUsersGiveEmptyShards(t *testing.T) {
	shards, _ := build(t, nil, 2)
	if !reflect.DeepEqual(shards, [][]byte{{}, {}}) {
		t.Errorf("got %q, want two empty shards, not none", shards)
	}
}

func TestOrderOfUsersDecidesNothing(t *testing.T) {
	in := records(100)
	want, _ := build(t, in, 3)
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		random.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
		if got, _ := build(t, in, 3); !reflect.DeepEqual(got, want) {
			t.Fatal("another order gives other bytes")
		}
	}
}

func TestOneChangeDirtiesOneShard(t *testing.T) {
	before, _ := build(t, records(100), 4)
	changes := map[string]func([]Record) []Record{
		"a user is added":   func(r []Record) []Record { return append(r, record(100)) },
		"a user is removed": func(r []Record) []Record { return append(r[:50], r[51:]...) },
		"a user is changed": func(r []Record) []Record { r[50].User.MaxConnections = 1; return r },
	}
	for name, change := range changes {
		after, _ := build(t, change(records(100)), 4)
		dirty := 0
		for i := range after {
			if !bytes.Equal(before[i], after[i]) {
				dirty++
			}
		}
		if dirty != 1 {
			t.Errorf("%s: %d shards changed, want 1", name, dirty)
		}
	}
}

func TestOldestStayWhenNotAllFit(t *testing.T) {
	shards, left := build(t, []Record{big(4), big(2), big(1), big(3), record(9)}, 1)
	if len(shards[0]) > MaxBytes {
		t.Errorf("the shard has %d bytes, more than %d", len(shards[0]), MaxBytes)
	}
	if want := map[string]bool{"uid-0004": true}; !reflect.DeepEqual(left, want) {
		t.Errorf("left out %v, want the youngest big one, %v", left, want)
	}
	if !bytes.Contains(shards[0], []byte(`"uid-0009"`)) {
		t.Error("a small record that fits was left out because a big one did not")
	}
}

func TestInvalidRecordIsAnError(t *testing.T) {
	r := record(1)
	r.User.Mounts = nil
	if _, _, err := Build([]Record{r}, 1); err == nil || !strings.Contains(err.Error(), "user team/user1: ") {
		t.Errorf("error %v, want one that names the user", err)
	}
}
