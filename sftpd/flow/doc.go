// Package flow accounts for what passes through connections: the bytes that a client has sent and the server has not read, the
// windows of uploads, answers that a client does not read, and open files. Each is limited per connection or user, and in total.
//
// The package is on both sides of golang.org/x/crypto/ssh, which exposes neither count: a [Conn] counts bytes received on the
// wire, and a [Stream] bytes read from a channel. The ledger keeps the difference, and [Totals] what all connections share.
//
// Package coalesce, which merges many system calls into few, is separate: it handles bytes, not channels or users.
package flow
