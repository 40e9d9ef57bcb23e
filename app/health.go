package app

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"

	"kentongan/internal/answer"
	"kentongan/realtime"
)

var errNoSecret = errors.New("a session secret is needed")

// readiness is whether load balancers should send clients here.
type readiness struct {
	draining atomic.Bool
}

func (r *readiness) drain() { r.draining.Store(true) }

// check is one line of /readyz.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// checks returns the state of everything that clients depend on.
func (a *App) checks() (checks []check, ok bool) {
	ok = true
	add := func(name string, err error, well ...string) {
		c := check{Name: name, OK: err == nil, Detail: strings.Join(well, "; ")}
		if err != nil {
			c.Detail = err.Error()
			ok = false
		}
		checks = append(checks, c)
	}
	var err error
	if health, can := a.engine.broker.(realtime.Health); can {
		err = health.Ready()
	}
	add("engine "+a.engine.name, err)
	if a.pubsub != nil {
		add("intake of PUBLISH", a.pubsub.Ready(), "node "+a.pubsub.Node()+": "+a.pubsub.Role())
		add("intake of the durable stream", a.stream.Ready())
	}
	err = nil
	if a.ready.draining.Load() {
		err = errors.New("this server is stopping")
	}
	add("serving", err)
	return checks, ok
}

// serveHealth says that the process answers. It depends on nothing, so that a broken Redis does not make an orchestrator kill
// servers that could only come back without it too.
func (a *App) serveHealth(w http.ResponseWriter, _ *http.Request) {
	answer.JSON(w, http.StatusOK, struct {
		Status  string `json:"status"`
		Version string `json:"version,omitempty"`
	}{"ok", a.opts.Version})
}

// serveReady says whether clients should come here now, and if not, why.
func (a *App) serveReady(w http.ResponseWriter, _ *http.Request) {
	checks, ok := a.checks()
	status := http.StatusOK
	if !ok {
		status = http.StatusServiceUnavailable
	}
	answer.JSON(w, status, struct {
		Ready  bool    `json:"ready"`
		Checks []check `json:"checks"`
	}{ok, checks})
}
