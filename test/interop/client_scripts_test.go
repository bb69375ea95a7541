package interop

// Libraries of scripting languages.

const (
	filesAlone    = "a library for single files"
	putSendsAll   = "its recursive put sends everything and deletes nothing"
	renameIsPlain = "sends only SSH_FXP_RENAME, which never replaces a file"
	noStatvfs     = "has no statvfs@openssh.com"
)

// phpseclibDriver returns the driver for PHP's usual library, which implements all of SSH itself.
func phpseclibDriver() *driver {
	l := library{[]string{"php"}, "phpseclib_client.php"}
	d := l.driver("phpseclib")
	d.tools = []string{"php", "php-phpseclib3"}
	d.parallel, d.replace, d.large = copier{}, nil, medium
	d.lacks = map[string]string{
		"mirror up": filesAlone, "mirror down": filesAlone, "mirror again: only what changed, delete what is gone": filesAlone,
		"rename over a file": renameIsPlain, "size of the file system (statvfs)": noStatvfs,
	}
	d.also = []special{l.session()}
	return d
}

var netSFTP = library{[]string{"ruby"}, "netsftp_client.rb"}

func netSFTPDriver() *driver {
	l := netSFTP
	d := l.driver("net-sftp (Ruby)")
	d.large = medium
	d.tools = []string{"ruby", "ruby-net-sftp", "ruby-ed25519", "ruby-bcrypt-pbkdf"}
	d.mirror, d.links, d.replace = l.both("-tree"), linksFollowed, nil
	d.lacks = map[string]string{
		"mirror again: only what changed, delete what is gone": putSendsAll,
		"rename over a file": renameIsPlain, "size of the file system (statvfs)": noStatvfs,
	}
	d.also = []special{l.session(), l.symlinks(linkRow)}
	return d
}

// foreignDriver returns the driver for Perl's library, which implements SFTP, and uses OpenSSH's client for SSH. It waits for
// the client's password prompt.
func foreignDriver() *driver {
	l := library{[]string{"perl"}, "foreign_client.pl"}
	d := l.driver("Net::SFTP::Foreign")
	d.tools = []string{"perl", "ssh", "libnet-sftp-foreign-perl", "libio-pty-perl"}
	d.mirror, d.links, d.parallel = l.both("-tree"), linksKept, copier{}
	d.space = l.space
	d.lacks = map[string]string{"mirror again: only what changed, delete what is gone": putSendsAll}
	d.also = []special{l.session()}
	return d
}
