// Package health is the daemon's HTTP side, for probes and for the operator:
//
//	/livez    200 while the process serves HTTP; never depends on the configuration
//	/readyz   200 when logins can be served, otherwise 503 and the reason
//	/configz  config.Status as JSON; proven, for a request with a nonce
//	/metrics  Prometheus
//	/keyuse   config.KeyUseReport as JSON, to the operator only, and sealed
//	/events   file events, to the relay only, and sealed: see package contract/events
//
// Except for the last two, they need no authentication and name no user.
package health

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sftp-operator/sftp-operator/sftpd/contract/config"
	"github.com/sftp-operator/sftp-operator/sftpd/contract/events"
)

// State provides what the endpoints show.
type State interface {
	// Ready returns nil when logins can be served, otherwise the reason, which contains no host path.
	Ready(context.Context) error
	// Status returns the answer for /configz.
	Status() config.Status
	// Pod is the pod's name, which its proofs contain.
	Pod() string
	// StatusKey is the key for proofs, "" if nothing is loaded.
	StatusKey() string
	// KeyUse returns the answer for /keyuse.
	KeyUse(q config.KeyUseQuestion) config.KeyUseReport
}

// Limits on what a client of the health port can occupy.
const (
	requestTime    = 10 * time.Second
	turnTime       = requestTime / 2
	idleTime       = 2 * time.Minute
	maxHeaderBytes = 8 << 10
)

// Server serves the endpoints.
type Server struct{ http *http.Server }

// New returns a server for a state and a registry of metrics. pending handles requests below events.Path.
func New(state State, metrics *prometheus.Registry, pending http.Handler, log *slog.Logger) *Server {
	return &Server{http: &http.Server{
		Handler:           handler(state, metrics, pending),
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
	if err := s.http.Serve(newPlaces(l, MaxConnections)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends the server at once.
func (s *Server) Close() error { return s.http.Close() }

func handler(state State, metrics *prometheus.Registry, pending http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(events.Path, pending)
	mux.Handle(events.Path+"/", pending)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := state.Ready(r.Context()); err != nil {
			text(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		text(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET "+config.StatusPath, func(w http.ResponseWriter, r *http.Request) { status(state, w, r) })
	mux.HandleFunc("GET "+config.KeyUsePath, func(w http.ResponseWriter, r *http.Request) { keyUse(state, w, r) })
	mux.Handle("GET /metrics", inTurn(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{Registry: metrics}), maxRequests))
	return mux
}

// status answers anyone. The proof covers the whole answer, which is therefore encoded first; it is small.
func status(state State, w http.ResponseWriter, r *http.Request) {
	nonce := r.Header.Get(config.NonceHeader)
	if nonce != "" && !config.ValidNonce(nonce) {
		text(w, http.StatusBadRequest, config.NonceHeader+" must have 16 to 64 characters")
		return
	}
	body, err := json.Marshal(state.Status())
	if err != nil {
		text(w, http.StatusInternalServerError, "the status cannot be encoded")
		return
	}
	body = append(body, '\n')
	// The key is read after the status. If a configuration is loaded in between, its key proves
	// the previous status; in the other order, an outdated key would prove the current status.
	if proof := config.StatusProof(state.StatusKey(), nonce, state.Pod(), body); nonce != "" && proof != "" {
		w.Header().Set(config.ProofHeader, proof)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // an error means that the client is gone
}

// keyUse only answers the operator.
func keyUse(state State, w http.ResponseWriter, r *http.Request) {
	q, err := keyUseQuestion(r)
	if err != nil {
		text(w, http.StatusBadRequest, err.Error())
		return
	}
	key, nonce := state.StatusKey(), r.Header.Get(config.NonceHeader)
	if !config.ValidNonce(nonce) || !config.ProofsEqual(r.Header.Get(config.ProofHeader), config.KeyUseProof(key, nonce, state.Pod(), q)) {
		text(w, http.StatusUnauthorized, "only an operator with this endpoint's configuration gets an answer")
		return
	}
	var sealed []byte
	body, err := json.Marshal(state.KeyUse(q))
	if err == nil {
		sealed, err = config.SealKeyUse(key, nonce, state.Pod(), body)
	}
	if err != nil {
		text(w, http.StatusInternalServerError, "the report cannot be sealed")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(sealed) //nolint:gosec // JSON, not HTML; an error means that the client is gone
}

// keyUseQuestion parses a request's parameters.
func keyUseQuestion(r *http.Request) (config.KeyUseQuestion, error) {
	query := r.URL.Query()
	q := config.KeyUseQuestion{Instance: query.Get(config.KeyUseInstance)}
	var err error
	if v := query.Get(config.KeyUseSequence); v != "" {
		if q.Sequence, err = strconv.ParseUint(v, 10, 64); err != nil {
			return q, errors.New(config.KeyUseSequence + " must be a number")
		}
	}
	if q.Limit, err = strconv.Atoi(query.Get(config.KeyUseLimit)); err != nil || q.Limit < 1 || q.Limit > config.MaxKeyUses {
		return q, errors.New(config.KeyUseLimit + " must be a number from 1 to " + strconv.Itoa(config.MaxKeyUses))
	}
	return q, nil
}

func text(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(message + "\n")) //nolint:gosec // JSON, not HTML; an error means that the client is gone
}
