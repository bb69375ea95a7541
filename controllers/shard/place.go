// Package shard distributes users' records over a fixed number of Secrets. It is pure: equal
// input gives equal bytes.
//
// Records of many tenants share the room, so a place that was held once is kept: neither a
// record that grows nor one that arrives pushes out another, whoever is older. Growth that
// has no room is refused, and its user keeps what fits into the room that it has.
package shard

// MaxBytes is the size of a shard: an object may have 1 MiB, and its metadata needs room.
const MaxBytes = 950_000

// usersPerShard leaves some 1,500 bytes for each user.
const usersPerShard = 625

// Count is the number of shards of a listener. It depends on maxUsers only, so that users
// come and go without a change of the pods' volumes.
func Count(maxUsers int) int {
	return max(1, (maxUsers+usersPerShard-1)/usersPerShard)
}

// Record is a user's record and when the user was made.
type Record struct {
	UID string
	// Line is the user's, as config.EncodeUser makes it.
	Line []byte
	// Reduced is the record with nothing that the previously delivered one did not have; nil
	// if there is none. It is used when Line needs more room than there is.
	Reduced []byte
	// Seniority orders records that arrive, and those that grow, when not all fit: a smaller
	// one comes first.
	Seniority int64
}

// Slot is the room that a record holds.
type Slot struct {
	Shard int
	// Bytes are reserved. A record that was refused its growth may use fewer, or none: it
	// can come back to its former size at any time.
	Bytes int
}

// Input is what a placement depends on.
type Input struct {
	Records []Record
	// Count of shards.
	Count int
	// Previous are the slots of the last placement, by UID. Those of records that are gone
	// are free.
	Previous map[string]Slot
}
