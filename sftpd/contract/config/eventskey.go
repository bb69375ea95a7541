package config

import "encoding/hex"

// EventsKey is the key with which the relay of a listener proves to its pods that it is the relay, and that their answers are
// sealed with: the content of EventsKeyFile. It is derived from the first private host key of the list, like StatusKey, so
// that nothing has to be generated and kept: only those that may read the configuration's Secret have it. It reveals nothing
// about the host key. It is "" without a host key.
func EventsKey(hostKeys [][]byte) string {
	if len(hostKeys) == 0 {
		return ""
	}
	return hex.EncodeToString(derive(hostKeys[0], "sftp-operator.io events key v1"))
}
