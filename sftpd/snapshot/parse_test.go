package snapshot_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/config/configtest"
	"github.com/sftp-operator/sftp-operator/sftpd/snapshot"
)

// fleet is a directory with users in several shards.
func fleet(t *testing.T, users, shards int) *configtest.Dir {
	t.Helper()
	dir := configtest.New(t)
	dir.Shards = shards
	for i := range users {
		key, _ := configtest.Key(t)
		dir.AddUser(fmt.Sprint("user", i), "", key.PublicKey())
	}
	return dir
}

// next writes a directory and builds the snapshot that follows another one; read is the number of shards that were parsed.
func next(t *testing.T, dir *configtest.Dir, before *snapshot.Snapshot) (s *snapshot.Snapshot, read int) {
	t.Helper()
	dir.Write(t)
	files, err := config.Read(dir.Path, before.Knows)
	if err != nil {
		t.Fatal(err)
	}
	for _, shard := range files.Shards {
		if !shard.Known {
			read++
		}
	}
	if s, err = snapshot.Build(files, before, time.Now()); err != nil {
		t.Fatal(err)
	}
	return s, read
}

// taken returns how many users two snapshots have in common.
func taken(dir *configtest.Dir, a, b *snapshot.Snapshot) (n int) {
	for i := range dir.Users {
		x, ok1 := a.Lookup(dir.Users[i].Username)
		y, ok2 := b.Lookup(dir.Users[i].Username)
		if ok1 && ok2 && x == y {
			n++
		}
	}
	return n
}

func TestWhatHasNotChangedIsNotParsedAgain(t *testing.T) {
	dir := fleet(t, 200, 8)
	first, read := next(t, dir, nil)
	if read != 8 || first.Users() != 200 {
		t.Fatalf("%d shards read, %d users", read, first.Users())
	}
	dir.User(t, "user17").MaxConnections = 3
	dir.Remove("user18")
	second, read := next(t, dir, first)
	if u, ok := second.Lookup("user17"); !ok || u.MaxConnections != 3 {
		t.Errorf("user17 is as before: %+v", u)
	}
	if _, ok := second.Lookup("user18"); ok || second.HasUser("uid-user18") || second.Users() != 199 {
		t.Error("user18 was removed and is still there")
	}
	if read < 1 || read > 2 {
		t.Errorf("%d shards were read, of 8 two have changed at most", read)
	}
	if n := taken(dir, first, second); n < 100 || n > 198 {
		t.Errorf("%d of 199 users were taken over, want those of the other shards", n)
	}

	// A user also depends on the settings.
	dir.Listener.Limits.MaxConnectionsPerUser = 2
	third, read := next(t, dir, second)
	if u, _ := third.Lookup("user17"); u.MaxConnections != 2 || read != 8 || taken(dir, second, third) != 0 {
		t.Errorf("%d shards were read after a change to the settings, and user17 is %+v", read, u)
	}
}

// If two users have one login name, the first one gets it, whichever of their shards changed.
func TestTwiceInTwoShards(t *testing.T) {
	dir := fleet(t, 20, 4)
	files := dir.Files(t)
	write := func(twice bool) {
		shards := make([][]byte, 4)
		for i := range shards {
			shards[i] = files[config.ShardFile(i)]
		}
		// The first user of the third shard also appears at the end of the first one.
		line, _, _ := strings.Cut(string(shards[2]), "\n")
		if twice {
			shards[0] = append(append([]byte(nil), shards[0]...), strings.Replace(line, `"uid":"`, `"uid":"other-`, 1)+"\n"...)
		}
		raw, err := config.EncodeListener(dir.Listener, dir.HostKeys, shards)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string][]byte{config.ListenerFile: raw, config.HostKeyFile(0): dir.HostKeys[0]}
		for i, s := range shards {
			all[config.ShardFile(i)] = s
		}
		dir.WriteFiles(t, all)
	}
	build := func(before *snapshot.Snapshot) *snapshot.Snapshot {
		read, err := config.Read(dir.Path, before.Knows)
		if err != nil {
			t.Fatal(err)
		}
		s, err := snapshot.Build(read, before, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	write(true)
	s := build(nil)
	if s.Users() != 20 || len(s.Rejected) != 1 || !strings.Contains(s.Rejected[0].Reason, "users-02.jsonl line 1: the login name is a duplicate") {
		t.Fatalf("%d users, rejected %+v", s.Users(), s.Rejected)
	}
	u, _ := s.Lookup(s.Rejected[0].Username)
	if u == nil || !strings.HasPrefix(u.UID, "other-") {
		t.Errorf("the login is %+v, want that of the first shard", u)
	}
	write(false)
	s = build(s)
	if u, _ = s.Lookup(u.Username); s.Users() != 20 || len(s.Rejected) != 0 || strings.HasPrefix(u.UID, "other-") {
		t.Errorf("%d users, rejected %+v, login %+v", s.Users(), s.Rejected, u)
	}
}
