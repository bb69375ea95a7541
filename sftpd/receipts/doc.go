// Package receipts keeps signed receipts as files, where the users whose uploads they are about can read them:
//
//	<volume>/.sftpd-events/<namespace>/.receipts/<listener>/<user's namespace>/<user>/<id>.json       the receipt
//	<volume>/.sftpd-events/<namespace>/.receipts/<listener>/<user's namespace>/<user>/<id>.json.sig   its SSH signature
//
// All pods of a listener write to the same directories, each receipts of its own chains. Receipts come from the outbox, which keeps
// each until it is here and on the disk. The oldest of a user give way to new ones, and all do when they are old.
package receipts
