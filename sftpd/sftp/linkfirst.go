package sftp

import "strings"

// clientsLinkFirst are prefixes of the identifications of clients that send SYMLINK's arguments
// in the draft's order unless the server calls itself OpenSSH: libssh (sftp_symlink asks
// ssh_get_openssh_version), phpseclib 1 to 3 (SFTP::symlink compares the server's
// identification with "SSH-2.0-OpenSSH"), AsyncSSH (which also counts paramiko's server as
// OpenSSH), ssh2 of Node.js (SFTP.js, _isOpenSSH; it also counts dropbear as OpenSSH) and
// WinSCP (its "symlink bug", with ProFTPD). Clients that always send the draft's order (Erlang,
// Ruby's net-sftp) create wrong links on OpenSSH as well, and cannot be distinguished from
// newer versions that do not.
var clientsLinkFirst = []string{"libssh_", "libssh-", "phpseclib_", "AsyncSSH_", "ssh2js", "WinSCP_"}

// linkFirst reports whether a client sends the link's path before its target.
func linkFirst(client, server string) bool {
	client, server = strings.TrimPrefix(client, "SSH-2.0-"), strings.TrimPrefix(server, "SSH-2.0-")
	if strings.HasPrefix(server, "OpenSSH") {
		return false
	}
	for _, name := range clientsLinkFirst {
		if strings.HasPrefix(client, name) {
			return true
		}
	}
	return false
}
