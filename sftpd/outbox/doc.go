// Package outbox records events durably on a volume until all sinks have acknowledged them.
//
// Each daemon has its own log, in a directory of the volume that no user's tree can reach:
//
//	<volume>/.sftpd-events/<namespace>/<listener>/<pod>/lock       held with flock(2) by the log's owner
//	<volume>/.sftpd-events/<namespace>/<listener>/<pod>/NNNN.seg   segments, lines of records
//
// An upload that gets its final name when it is closed has two records. The first says what is about to be renamed, and is
// on the disk before the rename; the second contains the event. A daemon that finds the first without the second, because it
// or another pod was killed in between, checks which file has the name now and records the outcome.
//
// # Concurrency
//
// One goroutine per log makes all system calls that change the volume, and writes whatever has been queued meanwhile in one
// batch, with one fdatasync(2). Other goroutines queue records, and wait for a bounded time. No lock is held across a system
// call, so a volume that hangs delays only those that wait for their own records.
package outbox
