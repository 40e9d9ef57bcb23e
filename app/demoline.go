package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"kentongan/auth"
	"kentongan/internal/answer"
	"kentongan/tenant"
)

// demoLine lets a visitor of the demo cut their own line, to see what the board does then: their sockets break without a word, and nothing
// that they ask for is answered, until the time is over or they mend it. Nobody else notices.
type demoLine struct {
	*auth.Authenticator
	drop func(which func(*auth.Identity) bool) int
	now  func() time.Time

	mu  sync.Mutex
	cut map[visitor]time.Time // until when
}

// visitor is who signed in by one link.
type visitor struct {
	tenant  tenant.ID
	subject string
}

func visitorOf(who *auth.Identity) visitor { return visitor{who.Tenant, who.Subject} }

const (
	// demoLinePath is where the line is cut and mended, and the only one below /api/ that answers while it is cut.
	demoLinePath = "/api/demo/line"

	// mostCutTime is how long a line may be cut: a visitor who closes the page in between finds it whole when they come back.
	mostCutTime = 2 * time.Minute

	// mostCut is how many lines may be cut at once. Each link is one visitor, and the demo prints four.
	mostCut = 100
)

func newDemoLine(a *auth.Authenticator, drop func(func(*auth.Identity) bool) int) *demoLine {
	return &demoLine{Authenticator: a, drop: drop, now: time.Now, cut: map[visitor]time.Time{}}
}

// Admit is what the gateway asks: whose line is cut does not come in.
func (d *demoLine) Admit(ctx context.Context, r *http.Request) (*auth.Identity, error) {
	who, err := d.Authenticator.Admit(ctx, r)
	if err == nil && d.isCut(who) {
		return nil, fmt.Errorf("the line of this visitor is cut: %w", auth.ErrUnavailable)
	}
	return who, err //nolint:wrapcheck // it is what was asked for
}

func (d *demoLine) isCut(who *auth.Identity) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now().Before(d.cut[visitorOf(who)])
}

func (d *demoLine) any() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.cut) > 0
}

// Wrap returns h with a line that can be cut. Pages are answered all the same: a board that is opened anew keeps them anyway.
func (d *demoLine) Wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == demoLinePath:
			d.serve(w, r)
			return
		case d.any() && strings.HasPrefix(r.URL.Path, "/api/") && !r.URL.Query().Has("ticket"): // a ticket is good for one look
			if who, err := d.Authenticator.Admit(r.Context(), r); err == nil && d.isCut(who) {
				panic(http.ErrAbortHandler) // net/http hangs up without an answer
			}
		}
		h.ServeHTTP(w, r)
	})
}

// serve takes {"seconds":30}; 0 mends the line.
func (d *demoLine) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer.Error(w, http.StatusMethodNotAllowed, "METHOD", "want POST")
		return
	}
	who, err := d.Authenticator.Admit(r.Context(), r)
	if err != nil {
		auth.Deny(w, err)
		return
	}
	var body struct {
		Seconds *float64 `json:"seconds"`
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<10))
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if most := mostCutTime.Seconds(); err != nil || body.Seconds == nil || *body.Seconds < 0 || *body.Seconds > most {
		answer.Error(w, http.StatusBadRequest, "BAD_REQUEST", fmt.Sprintf(`want {"seconds":n} with n from 0 to %.0f`, most))
		return
	}
	if !d.set(visitorOf(who), time.Duration(*body.Seconds*float64(time.Second))) {
		answer.Later(w, http.StatusServiceUnavailable, "FULL", "too many lines are cut already", mostCutTime)
		return
	}
	if *body.Seconds > 0 {
		d.drop(func(other *auth.Identity) bool { return visitorOf(other) == visitorOf(who) })
	}
	w.WriteHeader(http.StatusNoContent)
}

// set cuts a line for so long; zero mends it. It reports false if there is no room.
func (d *demoLine) set(v visitor, span time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for other, until := range d.cut {
		if !now.Before(until) {
			delete(d.cut, other)
		}
	}
	if span == 0 {
		delete(d.cut, v)
		return true
	}
	if _, known := d.cut[v]; !known && len(d.cut) >= mostCut {
		return false
	}
	d.cut[v] = now.Add(span)
	return true
}
