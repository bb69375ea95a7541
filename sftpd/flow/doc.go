// Package flow accounts for what goes through connections: the bytes that a client has sent and nobody has read, the windows of
// uploads, answers that nobody takes, and open files. Each is bounded for a connection or user, and for all together.
//
// It is on both sides of golang.org/x/crypto/ssh, which says of neither: a [Conn] counts what comes in on the wire, and a
// [Stream] what is read from a channel. The ledger has the difference. [Totals] have what all connections share.
//
// Package coalesce, which makes few system calls of many, stays apart: it knows bytes only, and neither channels nor users.
package flow
