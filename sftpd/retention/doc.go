// Package retention deletes expired files: those that the rules of a listener select, and what interrupted uploads have left
// on the volumes.
//
// It is designed so that a mistake deletes too little. decide.go and clock.go make the decisions and are pure: their input is
// counts and clock readings, and their output a verdict. The rest of the package carries it out:
//
//   - One daemon at a time works on a volume: it holds a lock on a file of the volume (state.go).
//   - A run counts before it deletes. A rule that would delete more than its limits allow deletes nothing.
//   - The time of a file is when it was uploaded by the volume's own clock, not a time that a client has set. Nothing is deleted
//     while a clock is in doubt.
//   - Directories are opened one component at a time, beneath the volume, across no link and no mount, and a file is deleted
//     only while its directory is still found where it was (walk.go, remove.go, vfs.Expire).
//   - One goroutine works for a volume, a fifth of the time at most, and holds one directory per level in memory. A volume
//     that does not answer stops this goroutine and nothing else.
//
// The package does not depend on SFTP or Kubernetes.
package retention
