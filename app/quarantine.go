package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kentongan/internal/answer"
	"kentongan/realtime"
	"kentongan/realtime/intake"
	"kentongan/tenant"
)

// HeldMessage is one message of the quarantine as the admin listener shows it.
type HeldMessage struct {
	ID      string    `json:"id"` // of the whole quarantine: the kitchen and what counts in it
	Tenant  tenant.ID `json:"tenant"`
	Channel string    `json:"channel"` // as it is spelled in Redis; empty: no pattern has it any more
	Time    time.Time `json:"time"`
	Door    string    `json:"door"`
	Reason  string    `json:"reason"`
	Bytes   int       `json:"bytes"`

	Data json.RawMessage `json:"data,omitempty"` // if it is JSON; only of one message, never in lists
	Text string          `json:"text,omitempty"` // if it is none: with U+FFFD for what is no UTF-8
}

// quarantineTime bounds one request to the quarantine.
const quarantineTime = 10 * time.Second

func (a *App) quarantineRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /quarantine", a.serveQuarantine)
	mux.HandleFunc("GET /quarantine/{id}", a.serveHeld)
	mux.HandleFunc("POST /quarantine/{id}/replay", a.act("replay", a.serveReplay))
	mux.HandleFunc("DELETE /quarantine/{id}", a.act("drop", a.serveDrop))
}

// held makes h fit to be shown.
func (a *App) held(h *realtime.Held) HeldMessage {
	return HeldMessage{
		ID: string(h.Channel.Tenant) + ":" + h.ID, Tenant: h.Channel.Tenant, Channel: a.names.Spell(h.Channel), Time: h.Time,
		Door: h.Door, Reason: h.Reason, Bytes: h.Bytes,
	}
}

// serveQuarantine lists what is held, of one kitchen or of all: those with the newest first.
func (a *App) serveQuarantine(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), quarantineTime)
	defer cancel()
	q := r.URL.Query()
	limit := 100
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10_000 {
			answer.Error(w, http.StatusBadRequest, "BAD_REQUEST", "limit must be a whole number from 1 to 10000")
			return
		}
		limit = n
	}
	var tenants []tenant.ID
	var err error
	if q.Has("tenant") {
		t := tenant.ID(q.Get("tenant"))
		if t != tenant.Global && !tenant.Valid(t) {
			answer.Error(w, http.StatusBadRequest, "BAD_REQUEST", "tenant must be 1 to 64 of A-Z a-z 0-9 _ -, or empty for what is "+
				"everybody's")
			return
		}
		tenants = []tenant.ID{t}
	} else if tenants, err = a.engine.quarantine.Tenants(ctx); err != nil {
		a.denyQuarantine(w, err)
		return
	}
	out := struct {
		Messages []HeldMessage `json:"messages"`
		More     bool          `json:"more"` // the limit cut the list
	}{Messages: []HeldMessage{}}
	for _, t := range tenants {
		left := limit - len(out.Messages)
		list, err := a.engine.quarantine.List(ctx, t, left+1)
		if err != nil {
			a.denyQuarantine(w, err)
			return
		}
		if len(list) > left {
			list, out.More = list[:left], true
		}
		for i := range list {
			out.Messages = append(out.Messages, a.held(&list[i]))
		}
		if out.More {
			break
		}
	}
	answer.JSON(w, http.StatusOK, out)
}

// heldID cuts the id of the whole quarantine. No tenant has a colon.
func heldID(r *http.Request) (t tenant.ID, id string, ok bool) {
	head, id, ok := strings.Cut(r.PathValue("id"), ":")
	t = tenant.ID(head)
	return t, id, ok && (t == tenant.Global || tenant.Valid(t))
}

// find returns the message that r names, or has answered.
func (a *App) find(ctx context.Context, w http.ResponseWriter, r *http.Request) (realtime.Held, bool) {
	t, id, ok := heldID(r)
	if !ok {
		a.denyQuarantine(w, realtime.ErrNotHeld)
		return realtime.Held{}, false
	}
	h, err := a.engine.quarantine.Find(ctx, t, id)
	if err != nil {
		a.denyQuarantine(w, err)
		return h, false
	}
	return h, true
}

// serveHeld shows one message with its data.
func (a *App) serveHeld(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), quarantineTime)
	defer cancel()
	h, ok := a.find(ctx, w, r)
	if !ok {
		return
	}
	m := a.held(&h)
	if json.Valid(h.Data) && utf8.Valid(h.Data) {
		m.Data = h.Data
	} else {
		m.Text = strings.ToValidUTF8(string(h.Data), "\uFFFD")
	}
	answer.JSON(w, http.StatusOK, m)
}

// serveReplay publishes a message, and lets go of it. What still does not fit is refused again, unless it is forced. It may be asked for
// twice: the second time it is answered with the first position, or it is not there any more.
func (a *App) serveReplay(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), quarantineTime)
	defer cancel()
	h, ok := a.find(ctx, w, r)
	if !ok {
		return
	}
	if h.Data == nil && h.Bytes > 0 {
		answer.Error(w, http.StatusUnprocessableEntity, "INVALID_DATA", "it was too large to be kept; only its reason is")
		return
	}
	to := engineBroker{a.engine.broker, a.engine.acks}
	door := intake.NewRelay(a.names, a.checked(to), a.cfg.Limits.PublishBytes)
	if force := r.URL.Query().Get("force"); force == "true" {
		door = intake.NewRelay(a.names, to, a.cfg.Limits.PublishBytes)
	} else if force != "" {
		answer.Error(w, http.StatusBadRequest, "BAD_REQUEST", "force is true or not there")
		return
	}
	p, err := door.Publish(ctx, h.Channel, h.Data, "kentongan:quarantine/"+h.ID)
	if err == nil {
		_, err = a.engine.quarantine.Drop(ctx, h.Channel.Tenant, h.ID)
	}
	if err != nil {
		a.denyQuarantine(w, err)
		return
	}
	answer.JSON(w, http.StatusOK, struct {
		Epoch  string `json:"epoch"`
		Offset uint64 `json:"offset"`
	}{p.Position.Epoch, p.Position.Offset})
}

// serveDrop lets go of one message.
func (a *App) serveDrop(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), quarantineTime)
	defer cancel()
	t, id, ok := heldID(r)
	n, err := 0, error(nil)
	if ok {
		n, err = a.engine.quarantine.Drop(ctx, t, id)
	}
	if err == nil && n == 0 {
		err = realtime.ErrNotHeld
	}
	if err != nil {
		a.denyQuarantine(w, err)
		return
	}
	answer.JSON(w, http.StatusOK, struct {
		Dropped int `json:"dropped"`
	}{n})
}

func (a *App) denyQuarantine(w http.ResponseWriter, err error) {
	if wrong, ok := errors.AsType[*realtime.Mismatch](err); ok {
		answer.Error(w, http.StatusUnprocessableEntity, "SCHEMA_MISMATCH", wrong.Error())
		return
	}
	switch {
	case errors.Is(err, realtime.ErrNotHeld):
		answer.Error(w, http.StatusNotFound, "NOT_FOUND", "nothing is held under that id")
	case errors.Is(err, realtime.ErrNoChannel):
		answer.Error(w, http.StatusUnprocessableEntity, "NO_SUCH_CHANNEL", "no channel pattern has its channel any more")
	case errors.Is(err, realtime.ErrInvalid):
		answer.Error(w, http.StatusUnprocessableEntity, "INVALID_DATA", err.Error())
	case errors.Is(err, realtime.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		answer.Later(w, http.StatusServiceUnavailable, "UNAVAILABLE", "the engine cannot be reached now; try again", time.Second)
	default:
		a.log.Error("quarantine broken by a mistake of ours", "err", err)
		answer.Error(w, http.StatusInternalServerError, "INTERNAL", "something went wrong here; it was logged")
	}
}
