// Package unexported is all that reaches for what golang.org/x/crypto/ssh does not export: its packets that nobody has
// processed, its own request for a key exchange, and the receiving side of a channel. Where x/crypto is not as it was, each
// function returns nothing, the callers do without, and the tests named fail.
package unexported
