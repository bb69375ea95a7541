// Package config is the contract between the operator, which writes a daemon's
// configuration, and the daemon, which reads it.
//
// A configuration is a directory of files:
//
//	listener.json        settings of the endpoint, the host keys' and shards' digests
//	hostkey-N            private host keys in OpenSSH or PEM format
//	users-NN.jsonl       shards: one JSON object a line, one line a user
//	events-key           the key for requests for events, if events are recorded
//
// listener.json names every other file with its SHA-256, so that a reader can tell
// a consistent set from one that is half written. The digest of a configuration is
// the SHA-256 of listener.json and hence covers everything.
//
// Decoding is strict. An unknown field in listener.json makes the whole set
// unusable; in a user's line it makes that one user unusable: a daemon that does
// not know a restriction must not ignore it.
package config
