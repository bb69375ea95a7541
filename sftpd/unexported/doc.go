// Package unexported contains all access to what golang.org/x/crypto/ssh does not export: its unprocessed packets, its own
// request for a key exchange, and the receiving side of a channel. If x/crypto has changed, each function returns nothing, the
// callers do without, and the tests named here fail.
package unexported
