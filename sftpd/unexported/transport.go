package unexported

import "golang.org/x/crypto/ssh"

// PacketsAhead is how many packets x/crypto reads ahead of what it processes.
const PacketsAhead = 16

// DrainTransport drains what was read ahead on a connection that is closed, until x/crypto's reader finds the connection
// closed.
//
// x/crypto reads up to PacketsAhead packets ahead, and abandons a failed login while its reader waits to hand over the next
// one: forever, with two goroutines and everything they hold. A client that sends enough requests at once, the first one
// bad, would leak that with each connection. x/crypto cannot end it, so the channel is found by its name;
// attack.TestPacketsAhead would detect it if that failed.
func DrainTransport(peer ssh.ConnMetadata) {
	if packets := hidden[chan []byte](peer, "incoming"); packets != nil {
		for range packets {
		}
	}
}

// KeyExchangeRequests returns the channel by which x/crypto asks itself for a key exchange, nil if
// x/crypto has changed, which TestRekeyByTime would detect. It is never closed.
func KeyExchangeRequests(peer ssh.ConnMetadata) chan<- struct{} {
	return hidden[chan struct{}](peer, "requestKex")
}
