package app

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"kentongan/internal/answer"
	"kentongan/realtime"
	"kentongan/realtime/protocol"
)

var (
	errNoSecret     = errors.New("the demo needs a session secret: its visitors sign in by links")
	errNoProduction = errors.New("the demo needs the production service")
)

// readiness is whether load balancers should send clients here.
type readiness struct {
	draining atomic.Bool
}

func (r *readiness) drain() { r.draining.Store(true) }

// check is one line of /readyz.
type check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Weak   bool   `json:"weak,omitempty"` // it works, and a person should change it
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
	for _, w := range a.engine.weak() {
		checks = append(checks, check{Name: "redis setting " + w.Name, OK: true, Weak: true, Detail: w.Text})
	}
	if a.certs != nil {
		checks = append(checks, certificateCheck(a.certs.Status(), time.Now()))
	}
	if a.records != nil {
		// Screens do not need the database: a server that cannot reach it is no reason to send all of them away.
		c := check{Name: "database", OK: true}
		if err := a.records.Ready(); err != nil {
			c.OK, c.Weak, c.Detail = false, true, err.Error()
		}
		checks = append(checks, c)
	}
	err = nil
	if a.ready.draining.Load() {
		err = errors.New("this server is stopping")
	}
	add("serving", err)
	return checks, ok
}

// fault is why the clients of this node may be seeing what is old; the gateway asks for it all the time.
func (a *App) fault() (reason protocol.StaleReason, since time.Time) {
	heard := func() (at time.Time) {
		if b, can := a.engine.broker.(interface{ Heard() time.Time }); can {
			at = b.Heard()
		}
		return at
	}
	if health, can := a.engine.broker.(realtime.Health); can && health.Ready() != nil {
		return protocol.StaleEngine, heard()
	}
	if b, can := a.engine.broker.(interface{ CatchingUp() bool }); can && b.CatchingUp() {
		return protocol.StaleEngine, heard()
	}
	if a.pubsub != nil && a.pubsub.Ready() != nil {
		return protocol.StaleIntake, time.Time{}
	}
	return "", time.Time{}
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
