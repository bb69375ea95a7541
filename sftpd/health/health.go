// Package health is the daemon's HTTP side, for probes and for the operator:
//
//	/livez    200 while the process serves HTTP; never depends on the configuration
//	/readyz   200 when logins can be served, else 503 and why not
//	/configz  config.Status as JSON
//	/metrics  Prometheus
//	/keyuse   config.KeyUseReport as JSON, for the operator's token
//
// But for the last, it needs no authentication and names no user.
package health

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
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
	// StatusToken is what /keyuse asks for, "" if nothing is loaded.
	StatusToken() string
	// KeyUse is for /keyuse: what came after a sequence of an instance.
	KeyUse(instance string, after uint64) config.KeyUseReport
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
	mux.HandleFunc("GET "+config.KeyUsePath, func(w http.ResponseWriter, r *http.Request) { keyUse(state, w, r) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{Registry: metrics}))
	return mux
}

func keyUse(state State, w http.ResponseWriter, r *http.Request) {
	given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer || !config.TokensEqual(given, state.StatusToken()) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		text(w, http.StatusUnauthorized, "the token of this endpoint's configuration is needed")
		return
	}
	q := r.URL.Query()
	var after uint64
	if v := q.Get(config.KeyUseSequence); v != "" {
		var err error
		if after, err = strconv.ParseUint(v, 10, 64); err != nil {
			text(w, http.StatusBadRequest, config.KeyUseSequence+" must be a number")
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(state.KeyUse(q.Get(config.KeyUseInstance), after)); err != nil {
		return // the client is gone
	}
}

func text(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(message + "\n")) // the client is gone
}
