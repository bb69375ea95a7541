package sftp

import "strings"

// clientsLinkFirst begin the identifications of clients that send SYMLINK's arguments
// as the draft has them, unless the server calls itself OpenSSH: libssh
// (sftp_symlink asks ssh_get_openssh_version), phpseclib 1 to 3 (SFTP::symlink compares
// the server's identification with "SSH-2.0-OpenSSH"), AsyncSSH (which counts paramiko's
// server as OpenSSH, too), ssh2 of Node.js (SFTP.js, _isOpenSSH; it counts dropbear as OpenSSH,
// too) and WinSCP (its "symlink bug", with ProFTPD). Clients that send
// the draft's order to everybody (Erlang, Ruby's net-sftp) make wrong links on OpenSSH as
// well, and cannot be told from newer ones that do not.
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
