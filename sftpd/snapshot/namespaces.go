package snapshot

import "github.com/sftp-operator/sftp-operator/sftpd/contract/config"

// namespaces are those of the users.
type namespaces struct {
	key []byte
	// parts in the order of their shards, and the number of their users.
	parts  []*part
	users  uint64
	shared bool
}

// newNamespaces takes its secret from the first host key, as newDecoys does.
func newNamespaces(hostKey []byte, shards []config.Shard, parts map[string]*part) namespaces {
	n := namespaces{key: keyed(hostKey, "namespaces")}
	first := ""
	for _, shard := range shards {
		p := parts[shard.SHA256]
		n.parts = append(n.parts, p)
		n.users += uint64(len(p.logins))
		if p.namespace == "" {
			continue
		}
		if first == "" {
			first = p.namespace
		}
		n.shared = n.shared || p.several || p.namespace != first
	}
	return n
}

// Shared reports whether users of several namespaces can log in. Then each namespace has its share of the limits.
func (s *Snapshot) Shared() bool { return s.namespaces.shared }

// NamespaceOf returns the namespace of a login name. An unknown name is assigned to one of the existing namespaces, in
// proportion to their users, so that the time for which a namespace's logins wait does not reveal whether a name exists. The
// assignment of a name is stable as long as the users are.
func (s *Snapshot) NamespaceOf(username string) string {
	if u, ok := s.users[username]; ok {
		return u.Namespace
	}
	n := s.namespaces
	at := choice(n.key, username, n.users)
	for _, p := range n.parts {
		if at < uint64(len(p.logins)) {
			return p.logins[at].Namespace
		}
		at -= uint64(len(p.logins))
	}
	return "" // there are no users
}
