// Package attack does to the daemon what hostile peers do before a login, and measures what
// other users and the machine notice of it. The daemon is its program, built without the race
// detector, in a process of its own; what is measured is printed in lines that start with LOAD,
// MEMORY or TIMING.
package attack
