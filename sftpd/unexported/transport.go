package unexported

import "golang.org/x/crypto/ssh"

// PacketsAhead is how many packets x/crypto reads ahead of what it processes.
const PacketsAhead = 16

// DrainTransport takes what was read ahead on a connection that is closed, until x/crypto's reader finds the connection closed.
//
// x/crypto reads up to PacketsAhead packets ahead, and gives up a login that fails with its reader waiting to hand over the
// next: forever, with two goroutines and all that they hold. Who sends enough requests at once, the first of them a bad one,
// would leave as much with each connection. x/crypto has no way to end that, so the channel is found by its name;
// attack.TestPacketsAhead would notice if it were not.
func DrainTransport(peer ssh.ConnMetadata) {
	if packets := hidden[chan []byte](peer, "incoming"); packets != nil {
		for range packets {
		}
	}
}

// KeyExchangeRequests returns the channel by which x/crypto asks itself for a key exchange, nil if
// it is not as it was; TestRekeyByTime would notice. It is never closed.
func KeyExchangeRequests(peer ssh.ConnMetadata) chan<- struct{} {
	return hidden[chan struct{}](peer, "requestKex")
}
