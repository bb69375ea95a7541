// Package penalty remembers which sources misbehaved before a login, and says which of
// them are to be refused for a while, as PerSourcePenalties of OpenSSH's sshd_config(5).
//
// # How a penalty grows and ends
//
// Each Event has a weight in seconds. Weights add up, and time takes them away again, a
// second each second. While the sum is below Minimum nothing happens; when it gets
// there, the penalty is enforced until all of the sum is gone. The sum never exceeds the
// maximum that the caller gives.
//
// # Two accounts
//
// A failed login counts for the user and source together, and a fifth of it for the
// source. So who mistypes a password, or runs a job with an old one, is kept from that
// one login name and not from the others behind the same address: one user would have to
// fail more than once a second for half a minute to have the source refused. Who tries
// many names gets there soon. What happens before a name is given counts for the source.
//
// An unknown user has the same weight as a wrong password: OpenSSH can set them apart, and
// then the time until the refusal tells who exists.
//
// # Bounds
//
// Each account is a table of at most MaxEntries. When one is full, the entry that would
// end first gives way, the new one included. So whoever has more addresses than that,
// makes the daemon forget light penalties, and never locks anybody out.
package penalty
