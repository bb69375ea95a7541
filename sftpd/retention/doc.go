// Package retention deletes files whose time is over: those that the rules of a listener name, and what interrupted uploads
// have left on the volumes.
//
// It is made so that a mistake deletes too little. decide.go and clock.go decide, and are pure: what was counted and which
// clocks were read go in, a verdict comes out. The rest carries out:
//
//   - One daemon at a time works on a volume: it holds a lock on a file of the volume (state.go).
//   - A run counts before it deletes. A rule that would delete more than its limits allow deletes nothing.
//   - The time of a file is when it was uploaded by the volume's own clock, not what a client has set. Nothing is deleted
//     while a clock is in doubt.
//   - Directories are opened one component at a time, beneath the volume, across no link and no mount, and a file is deleted
//     only while its directory is still found where it was (walk.go, remove.go, vfs.Expire).
//   - One goroutine works for a volume, a fifth of the time at most, and holds one directory per level in memory. A volume
//     that does not answer stops this goroutine and nothing else.
//
// It knows neither SFTP nor Kubernetes.
package retention
