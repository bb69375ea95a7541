// Package health is the daemon's HTTP side, for probes and for the operator:
//
//	/livez    200 while the process serves HTTP; never depends on the configuration
//	/readyz   200 when logins can be served, else 503 and why not
//	/configz  config.Status as JSON
//	/metrics  Prometheus
//
// It needs no authentication and names no user.
package health

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sftp-operator/sftp-operator/sftpd/config"
)

// State is what the endpoints show.
type State interface {
	// Ready returns nil when logins can be served, else why not. It names no path of
	// the host.
	Ready(context.Context) error
	// Status is for /configz.
	Status() config.Status
}

// Bounds on what a client of the health port can hold.
const (
	requestTime    = 10 * time.Second
	idleTime       = 2 * time.Minute
	maxHeaderBytes = 8 << 10
)

// Server serves the endpoints.
type Server struct{ http *http.Server }

// New returns a server for a state and a registry of metrics.
func New(state State, metrics *prometheus.Registry, log *slog.Logger) *Server {
	return &Server{http: &http.Server{
		Handler:           handler(state, metrics),
		ReadHeaderTimeout: requestTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      requestTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
}

// Serve serves until Close, and then returns nil.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends the server at once.
func (s *Server) Close() error { return s.http.Close() }

func handler(state State, metrics *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := state.Ready(r.Context()); err != nil {
			text(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		text(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET "+config.StatusPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(state.Status()) // the client is gone
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{Registry: metrics}))
	return mux
}

func text(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(message + "\n")) // the client is gone
}
