// Package verdict judges logins that failed: what to say of each, and what its source pays for it. Values go in, and what is
// to be done comes out; the server does it.
package verdict
