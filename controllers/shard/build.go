// Package shard distributes users' records over a fixed number of Secrets.
package shard

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

const (
	// MaxBytes is the size of a shard: an object may have 1 MiB, and its metadata needs
	// room.
	MaxBytes = 950_000
	// usersPerShard leaves some 1,500 bytes for each user.
	usersPerShard = 625
)

// Count is the number of shards of a listener. It depends on maxUsers alone, so that
// users come and go without a change of the pods' volumes.
func Count(maxUsers int) int {
	return max(1, (maxUsers+usersPerShard-1)/usersPerShard)
}

// Record is a user's record and when the user was made.
type Record struct {
	User config.User
	// Line is the user's, as config.EncodeUser makes it, if it is known already.
	Line []byte
	// Seniority orders records when not all fit: a smaller one stays.
	Seniority int64
}

// Build returns the shards' contents and the UIDs of the records that did not fit. A
// record's shard depends on its UID alone, so a change of one user dirties one shard.
func Build(records []Record, count int) (shards [][]byte, left map[string]bool, err error) {
	byShard := make([][]Record, count)
	for _, r := range records {
		if r.Line == nil {
			if r.Line, err = config.EncodeUser(r.User); err != nil {
				return nil, nil, fmt.Errorf("user %s/%s: %w", r.User.Namespace, r.User.Name, err)
			}
		}
		i := index(r.User.UID, count)
		byShard[i] = append(byShard[i], r)
	}
	left = map[string]bool{}
	shards = make([][]byte, count)
	for i, lines := range byShard {
		slices.SortFunc(lines, func(a, b Record) int {
			return cmp.Or(cmp.Compare(a.Seniority, b.Seniority), strings.Compare(a.User.UID, b.User.UID))
		})
		size := 0
		for _, l := range lines {
			size += len(l.Line)
		}
		shards[i] = make([]byte, 0, min(size, MaxBytes))
		for _, l := range lines {
			if len(shards[i])+len(l.Line) > MaxBytes {
				left[l.User.UID] = true
				continue
			}
			shards[i] = append(shards[i], l.Line...)
		}
	}
	return shards, left, nil
}

func index(uid string, count int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(uid)) // a hash.Hash never fails
	return int(h.Sum32() % uint32(count))
}
