// Package sftp serves SFTP version 3 (draft-ietf-secsh-filexfer-02) over any
// byte stream for one [vfs.Tree]. It knows neither SSH nor users.
//
// One goroutine serves a session: it executes requests strictly in the order of
// their arrival, as section 6.1 of the draft demands for requests on one file
// and as clients (sshfs, above all) rely on. Replies leave in the same order.
//
// A request is parsed where it was received, a READ is read straight into its
// reply, and WRITEs that arrived together are written together if they continue
// one another; each has its own result all the same. Replies to requests that
// arrived together leave in one Write, of up to 256 KiB; they wait no longer than a
// millisecond and the request at hand. Both buffers come from a pool and go back
// as soon as the peer is silent, so an idle session keeps about a kilobyte.
//
// A volume that does not answer delays the session whose request it is, and no
// other: nothing is shared between sessions but the tree.
//
// A request that cannot be parsed is answered with SSH_FX_BAD_MESSAGE and the
// session goes on: the length in front of each packet says where the next one
// starts. The session ends when that length is impossible.
//
// All extensions of OpenSSH's sftp-server are there, in its versions (OpenSSH
// PROTOCOL, section 4).
package sftp
