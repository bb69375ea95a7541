// Package sweep ends sessions whose time is over: the validity of their user or key, the idle timeout, or a client's time to read
// its answers. An idle session costs nothing: it is checked when something is due, or while it is active.
//
// A [Session] returns its [State], and State.Plan, which is pure, decides. The server calls [Sweep.Pass] periodically; a pass
// never blocks, even if something hangs.
package sweep
