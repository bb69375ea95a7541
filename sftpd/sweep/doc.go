// Package sweep ends sessions whose time is over: that of their user or key, the idle timeout, or a client's to take its
// answers. A session that does nothing costs nothing: it is looked at when something is due, or while something happens in it.
//
// A [Session] tells its [State], and State.Plan, which is pure, decides. The server calls [Sweep.Pass] all the time; a pass
// waits for nothing, whatever hangs.
package sweep
