// Package receipts keeps signed receipts as files, where the users whose uploads they are about can read them:
//
//	<volume>/.sftpd-events/<namespace>/.receipts/<listener>/<user's namespace>/<user>/<id>.json       the receipt
//	<volume>/.sftpd-events/<namespace>/.receipts/<listener>/<user's namespace>/<user>/<id>.json.sig   its SSH signature
//
// All pods of a listener write to the same directories, each one the receipts of its own chains. Receipts come from the outbox,
// which keeps each one until it is in the store and on the disk. A user's oldest receipts are removed when there are too many,
// and any receipt is removed when it is too old.
package receipts
