// Package events is the contract about file events between the daemon, which records them, the relay, which delivers them,
// the operator, which configures both, and kubectl-sftp.
//
// An event is a CloudEvents 1.0 event in structured JSON. It is encoded once, when it is recorded, and those bytes are
// delivered, retried and replayed. Consumers deduplicate by its id, which never changes.
//
// A daemon serves its events on the status port, below [Path]. Requests are authenticated with a key that only the pods and
// the relay have, and answers are sealed with it, so neither names nor paths can be read on the network; see [Client].
package events
