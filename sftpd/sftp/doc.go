// Package sftp serves SFTP version 3 (draft-ietf-secsh-filexfer-02) over any
// byte stream for one [vfs.Tree]. It knows neither SSH nor users.
//
// One goroutine serves a session: it executes requests strictly in the order of
// their arrival, as section 6.1 of the draft demands for requests on one file
// and as clients (sshfs, above all) rely on. Replies leave in the same order.
//
// A request is parsed where it was received, a READ is read straight into its
// reply, and all replies to requests that arrived together leave in one Write.
// Both buffers come from a pool and go back as soon as the peer is silent, so
// an idle session keeps about a kilobyte.
//
// A request that cannot be parsed is answered with SSH_FX_BAD_MESSAGE and the
// session goes on: the length in front of each packet says where the next one
// starts. The session ends when that length is impossible.
//
// All extensions of OpenSSH's sftp-server are there, in its versions (OpenSSH
// PROTOCOL, section 4).
package sftp
