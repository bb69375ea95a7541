// Package auth decides who may log in, and whether a session may go on after the
// configuration changed.
//
// # Unknown users look like known ones
//
// The methods that a client is offered are those of the listener, whoever it says it
// is. A password costs one hash whether or not the user exists, has a password, has expired
// or would need a key first: a decoy takes the place of a missing hash. A
// keyboard-interactive login always asks the one question.
//
// Hashes that somebody else made may cost more or less than the operator's. Where users
// have hashes of different costs, unknown names have decoys of these costs in the same
// shares, each name always the same (snapshot.Snapshot.Decoy): that a name takes the time
// of bcrypt says nothing about whether it exists.
//
// What cannot be hidden is in RFC 4252 section 7: a client may ask whether a public key
// would do before it signs, and SSH_MSG_USERAUTH_PK_OK answers yes for a key that is
// registered. So whoever holds a public key and guesses the login name learns that the
// two belong together. Any other key gets the same refusal for a known user as for an
// unknown one.
//
// A certificate is checked in full before its user is looked up: what is wrong with it is
// found, with the same work, whoever it is for. Who holds a good one learns whether its
// principals exist and accept certificates, as with a key.
//
// # Several factors
//
// A user has combinations of steps (package factor), and the order is enforced. A password
// that comes before a key that has to be first is verified, for the time it takes, and then
// refused, right or wrong alike; a key that comes too early is refused as if it were not
// registered. After a step that succeeded the client is offered what can follow, so whoever
// has one factor of a user learns which others it needs. Until then everybody looks alike:
// codes of an app never come first, so nobody is asked for one before.
//
// A code is checked in the same time whatever it is. It is good once, and wrong ones are
// bounded for each user (codes). Daemons that share a volume tell each other there what was
// used (claim).
//
// # Nothing is decided on an unproven key
//
// PublicKeyCallback of x/crypto/ssh sees keys that the client may not own
// (CVE-2024-45337), so it has no effect but its answer. The decision is made once
// more in VerifiedPublicKeyCallback, against the configuration of that moment, and the
// Grant travels in the Permissions.
package auth
