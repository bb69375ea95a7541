// Package shard distributes users' records over a fixed number of Secrets. It is pure: equal
// input gives equal bytes.
//
// Records of many tenants share the room, so a place once held is kept: neither a growing
// nor a new record evicts another, whichever is older. Growth without room is refused, and
// its user keeps what fits into its current room.
package shard

// MaxBytes is the size of a shard: an object may have 1 MiB, and its metadata needs room.
const MaxBytes = 950_000

// usersPerShard leaves some 1,500 bytes for each user.
const usersPerShard = 625

// Count returns the number of shards of a listener. It depends on maxUsers only, so that
// users come and go without a change to the pods' volumes.
func Count(maxUsers int) int {
	return max(1, (maxUsers+usersPerShard-1)/usersPerShard)
}

// Record is a user's record and when the user was created.
type Record struct {
	UID string
	// Line is the user's, from config.EncodeUser.
	Line []byte
	// Reduced is the record without anything that the previously delivered one did not have;
	// nil if there is none. It is used when Line needs more room than there is.
	Reduced []byte
	// Seniority orders new and growing records when not all fit: a smaller one comes first.
	Seniority int64
}

// Slot is the room that a record holds.
type Slot struct {
	Shard int
	// Bytes are reserved. A record whose growth was refused may use fewer, or none: it can
	// return to its former size at any time.
	Bytes int
}

// Input is what a placement depends on.
type Input struct {
	Records []Record
	// Count of shards.
	Count int
	// Previous are the slots of the last placement, by UID. Slots of deleted records are
	// free.
	Previous map[string]Slot
}
