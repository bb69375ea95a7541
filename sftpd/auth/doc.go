// Package auth decides who may log in, and whether a session may continue after the
// configuration changed.
//
// # Unknown users look like known ones
//
// A client is offered the listener's methods, whichever login name it gives. A password costs one hash whether or not the user
// exists, has a password, has expired or would need a key first: a decoy takes the place of a missing hash. A
// keyboard-interactive login always asks the same single question.
//
// Imported hashes may cost more or less than the operator's. If users have hashes of different costs, unknown names have decoys
// of these costs in the same proportions, each name always the same one (snapshot.Snapshot.Decoy): a name that takes bcrypt's
// time need not exist.
//
// What cannot be hidden is in RFC 4252 section 7: a client may ask whether a public key
// would be accepted before it signs, and SSH_MSG_USERAUTH_PK_OK answers yes for a key that
// is registered. So anyone with a public key who guesses its login name learns that the two
// belong together. Any other key gets the same refusal for a known user as for an unknown
// one.
//
// A certificate is checked in full before its user is looked up, so finding what is wrong with it takes the same work for every
// user. The holder of a valid one learns whether its principals exist and accept certificates, as with a key.
//
// # Several factors
//
// A user has combinations of steps (package factor), and the order is enforced. A password
// that comes before a key that has to be first is verified, for the time it takes, and then
// refused, right or wrong alike; a key that comes too early is refused as if it were not
// registered. After a successful step the client is offered what can follow, so anyone with
// one factor of a user learns which others are needed. Until then all users look alike: an
// app's code never comes first, so it is not asked for earlier.
//
// Checking a code takes the same time, whatever it is. It is valid once, and wrong ones are limited per user (codes). Daemons
// that share a volume record the used codes there (claim).
//
// # Nothing is decided on an unproven key
//
// PublicKeyCallback of x/crypto/ssh sees keys that the client may not own (CVE-2024-45337),
// so its only effect is its answer. The decision is made again in
// VerifiedPublicKeyCallback, against the current configuration, and the Grant travels in
// the Permissions.
package auth
