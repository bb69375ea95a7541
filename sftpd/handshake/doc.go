// Package handshake bounds and observes what golang.org/x/crypto/ssh does for a client: until it is logged in, and for its
// exchanges of keys after that.
//
// x/crypto has few hooks, so a [Handshake] stands on all sides of it: as the connection that it reads and writes (wire), as
// its randomness, by which an expensive key exchange is noticed before the work is done (group), and as the host keys that
// sign each exchange (hostKey). These three know nothing but the Handshake, which owns the state:
//
//	exchanging      nothing is signed yet; what comes is in clear text
//	signed          the server's part of the first exchange is sent, or about to be; x/crypto queues what comes
//	authenticating  the client has asked for the service that follows an exchange
//	loggedIn        reads and writes pass through; exchanges of keys are still paced, and asked for by time
//	over            the login has failed
//
// A state is never left for an earlier one. What a client can use in each of them is in [Limits], and how one failed that
// logged nobody in is an [Outcome].
package handshake
