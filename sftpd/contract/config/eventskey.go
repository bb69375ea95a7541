package config

import "encoding/hex"

// EventsKey returns the content of EventsKeyFile: the key with which the relay of a listener proves to its pods that it is the
// relay, and with which they seal their answers. It is derived from the first private host key of the list, like StatusKey, so
// that nothing has to be generated and kept: only those who may read the configuration's Secret have it. It reveals nothing about
// the host key. Without a host key it is "".
func EventsKey(hostKeys [][]byte) string {
	if len(hostKeys) == 0 {
		return ""
	}
	return hex.EncodeToString(derive(hostKeys[0], "sftp-operator.io events key v1"))
}
