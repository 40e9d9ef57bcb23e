package app

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"kentongan/internal/answer"
	"kentongan/realtime/gateway"
	"kentongan/realtime/protocol"
)

// connectionFilter reads the query of the routes of connections. A name that it does not know is an error: a filter that was misspelt
// would choose everybody.
func connectionFilter(q url.Values, more ...string) (f gateway.Filter, err error) {
	for name, values := range q {
		switch name {
		case "session":
			if f.Session, err = strconv.ParseUint(values[0], 10, 64); err != nil || f.Session == 0 {
				return f, errors.New("session must be the number that /connections shows")
			}
		case "tenant":
			f.Tenant = values[0]
		case "user":
			f.User = values[0]
		case "dialect":
			if f.Dialect = values[0]; !slices.Contains([]string{protocol.Bare.String(), protocol.V1.String(), protocol.SSE.String()},
				f.Dialect) {
				return f, errors.New("dialect must be one of those that /connections shows")
			}
		case "channel":
			f.Channel = values[0]
		case "remote":
			f.Remote = values[0]
		default:
			if !slices.Contains(more, name) {
				return f, errors.New("no such filter; there are session, tenant, user, dialect, channel and remote")
			}
		}
		if len(values) > 1 || values[0] == "" {
			return f, errors.New("a filter needs one value, and comes once")
		}
	}
	return f, nil
}

// serveConnections lists who is connected, oldest first.
func (a *App) serveConnections(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("tenant") == "" {
		q.Del("tenant") // an empty one is all of them
	}
	f, err := connectionFilter(q, "limit")
	if err != nil {
		answer.Error(w, http.StatusBadRequest, "BAD_REQUEST", err.Error())
		return
	}
	limit := 1000
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			answer.Error(w, http.StatusBadRequest, "BAD_REQUEST", "limit must be a whole number above 0")
			return
		}
		limit = n
	}
	answer.JSON(w, http.StatusOK, struct {
		Time        time.Time `json:"time"`
		Total       int       `json:"total"`
		Connections any       `json:"connections"`
	}{time.Now(), a.gateway.Connections(), a.gateway.List(f, limit)})
}

// serveKick closes connections of this server. Their clients come back by themselves.
func (a *App) serveKick(w http.ResponseWriter, r *http.Request) {
	f, err := connectionFilter(r.URL.Query())
	if err == nil && f.Empty() {
		err = errors.New("name whom: session, tenant, user, dialect, channel or remote")
	}
	if err != nil {
		answer.Error(w, http.StatusBadRequest, "BAD_REQUEST", err.Error())
		return
	}
	answer.JSON(w, http.StatusOK, struct {
		Closed int `json:"closed"`
	}{a.gateway.Kick(f)})
}

// serveLogLevel says which lines of the log are written; with PUT and level=debug it is another level from now on, until the end of the
// process.
func (a *App) serveLogLevel(w http.ResponseWriter, r *http.Request) {
	if a.opts.Level == nil {
		answer.Error(w, http.StatusNotFound, "NOT_FOUND", "the level of this log cannot be changed")
		return
	}
	if r.Method == http.MethodPut {
		var level slog.Level
		text := r.URL.Query().Get("level")
		if !slices.Contains([]string{"debug", "info", "warn", "error"}, text) || level.UnmarshalText([]byte(text)) != nil {
			answer.Error(w, http.StatusBadRequest, "BAD_REQUEST", "level must be debug, info, warn or error")
			return
		}
		a.opts.Level.Set(level)
	}
	answer.JSON(w, http.StatusOK, struct {
		Level slog.Level `json:"level"`
	}{a.opts.Level.Level()})
}
