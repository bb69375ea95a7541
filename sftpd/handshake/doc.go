// Package handshake bounds and observes what golang.org/x/crypto/ssh does for a client: until it is logged in, and for its
// key exchanges after that.
//
// x/crypto has few hooks, so a [Handshake] wraps everything it uses: the connection that it reads and writes (wire), its
// source of randomness, which reveals an expensive key exchange before the work is done (group), and the host keys that
// sign each exchange (hostKey). These three depend only on the Handshake, which owns the state:
//
//	exchanging      nothing is signed yet; packets are in clear text
//	signed          the server's part of the first exchange is sent or being sent; x/crypto queues what arrives
//	authenticating  the client has asked for the service that follows an exchange
//	loggedIn        reads and writes pass through; key exchanges are still paced, and requested when they are due
//	over            the login has failed
//
// States never go back. [Limits] says what a client can use in each, and a handshake that did not end in a login has an
// [Outcome].
package handshake
