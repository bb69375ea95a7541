// Package receipt is the contract about signed receipts for uploads between the daemon, which issues them, the operator, which
// makes their key and publishes its public half, and those who verify them.
//
// A receipt is a line of JSON. Exactly these bytes, including the newline at the end, are signed, hashed and linked, so a
// verifier needs no canonical form. It is signed twice with the same Ed25519 key: as an SSH signature (OpenSSH's
// PROTOCOL.sshsig), which every partner of an SFTP server can verify with ssh-keygen, and as a DSSE envelope, which is what
// events carry.
//
// The receipts of a chain are numbered from 1, and each contains the SHA-256 of the previous one. A chain is written only by one
// run of a daemon, for one user, so it cannot fork. Each run begins a new chain. See [Check].
package receipt
