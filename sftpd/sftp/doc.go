// Package sftp serves SFTP version 3 (draft-ietf-secsh-filexfer-02) over any byte stream
// for one [vfs.Tree]. It does not know about SSH or users.
//
// One goroutine serves a session: it executes requests strictly in the order of their
// arrival, as section 6.1 of the draft requires for requests on one file and as clients
// (notably sshfs) rely on. Replies leave in the same order.
//
// A request is parsed where it was received, a READ is read straight into its reply, and WRITEs that arrived together are written
// together if they continue one another; each still gets its own result. Replies to requests that arrived together leave in one
// Write, of up to 256 KiB; they wait at most a millisecond plus the current request. Both buffers come from a pool and are
// returned as soon as the peer is silent, so an idle session keeps about a kilobyte.
//
// A volume that does not respond delays only the session with that request: sessions share
// nothing but the tree.
//
// A request that cannot be parsed is answered with SSH_FX_BAD_MESSAGE and the session
// continues: the length in front of each packet says where the next one starts. The session
// ends when that length is impossible.
//
// It supports all extensions of OpenSSH's sftp-server, in the same versions (OpenSSH
// PROTOCOL, section 4).
package sftp
