// Package attack runs the attacks that hostile peers can make before a login against the daemon, and measures the effect on
// other users and on the machine. The daemon is the real program, built without the race detector, in its own process;
// measurements are printed in lines that start with LOAD, MEMORY or TIMING.
package attack
