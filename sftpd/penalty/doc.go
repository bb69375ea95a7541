// Package penalty remembers which sources misbehaved before a login, and which of them are temporarily refused, like
// PerSourcePenalties in OpenSSH's sshd_config(5).
//
// # How a penalty grows and ends
//
// Each Event has a weight in seconds. Weights add up, and decay by one second per second. While the sum is below Minimum nothing
// happens; once it reaches Minimum, the penalty is enforced until the sum is zero. The sum never exceeds the maximum that the
// caller gives.
//
// # Two accounts
//
// A failed login counts for the user and source together, and a fifth of it for the source. So a user who mistypes a password, or
// runs a job with an old one, is kept from that one login name and does not affect others behind the same address: one user would
// have to fail more than once a second for half a minute to get the source refused. A source that tries many names is soon
// refused. What happens before a name is given counts for the source.
//
// An unknown user has the same weight as a wrong password: OpenSSH can weigh them
// differently, and then the time until the refusal reveals which users exist.
//
// # Bounds
//
// Each account is a table of at most MaxEntries. When one is full, the entry that would expire first is dropped, which may be
// the new one. An attacker with more addresses than that makes the daemon forget light penalties, but never locks anyone out.
package penalty
