package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kentongan/auth"
	"kentongan/realtime"
	"kentongan/realtime/protocol"
	"kentongan/tenant"
)

// request is what a client wants, after all checks.
type request struct {
	who     *auth.Identity
	dialect protocol.Dialect
	tenant  tenant.ID // whose channels are followed, if none are named
	wishes  []wish    // the channels that are named
	cursor  protocol.Cursor
	others  []protocol.Cursor // where other tabs of the client stand, and newer than cursor
	resume  bool              // a cursor or a position was given, readable or not
	named   bool              // cursor is made of the positions that stand beside the channels' names

	snapshot bool // begin with the newest of each key where there is no position
}

// parse reads the query: which channels, since when, and for platform roles whose.
func (g *Gateway) parse(r *http.Request, who *auth.Identity, dialect protocol.Dialect) (request, *protocol.CommandError) {
	req := request{who: who, dialect: dialect, tenant: who.Tenant}
	var query url.Values
	if r.URL.RawQuery != "" {
		query = r.URL.Query()
	}
	if t := query.Get("tenant"); t != "" {
		id, err := tenant.Parse(t)
		if err != nil || !who.MaySee(id) {
			return req, g.explain("", realtime.ErrNoChannel)
		}
		g.look(who, id)
		req.tenant = id
	}
	var problem *protocol.CommandError
	if req.snapshot, problem = readSnapshotWish(query, dialect); problem != nil {
		return req, problem
	}
	var names []string
	for _, list := range query["channels"] {
		names = append(names, strings.Split(list, ",")...)
	}
	if len(names) > g.opts.MaxChannels {
		return req, &protocol.CommandError{
			Code: protocol.ErrTooManyChannels, Message: "a connection may follow " + strconv.Itoa(g.opts.MaxChannels) + " channels at most",
		}
	}
	for _, name := range names {
		wire, since, resume, unreadable := splitWish(name)
		ch, err := g.channel(who, wire)
		if err != nil {
			return req, g.explain("", err)
		}
		if dialect == protocol.SSE && ch.Tenant != tenant.Global && ch.Tenant != req.tenant {
			// The cursor that is an event's id is about one tenant.
			return req, &protocol.CommandError{
				Code: protocol.ErrBadRequest, Message: "one event stream follows one kitchen; name it with ?tenant=",
			}
		}
		if slices.ContainsFunc(req.wishes, func(other wish) bool { return other.channel == ch }) {
			continue
		}
		req.wishes = append(req.wishes, wish{
			channel: ch, wire: wire, since: since, resume: resume, unreadable: unreadable, snapshot: req.snapshot,
		})
	}
	if dialect == protocol.SSE {
		req.readCursor(r.Header.Get("Last-Event-ID"), query)
		req.readPositions()
	}
	return req, nil
}

// readPositions makes the cursor of the positions beside the channels' names, where none was given: the names stay in the address when
// a browser resumes by itself, and are older then.
func (req *request) readPositions() {
	if req.resume || !slices.ContainsFunc(req.wishes, func(w wish) bool { return w.resume }) {
		return
	}
	req.resume, req.named, req.cursor = true, true, protocol.Cursor{}
	for _, w := range req.wishes {
		if w.resume && !w.unreadable {
			req.cursor[w.channel] = w.since
		}
	}
}

// none is why the client has no position in the channel of the i-th wish; empty: it was never there.
func (req *request) none(i int) realtime.GapCause {
	switch {
	case !req.named:
		return realtime.GapEpoch
	case req.wishes[i].unreadable:
		return realtime.GapMalformed
	}
	return "" // with a position it does not matter
}

// readCursor takes the position from the header that browsers send by themselves, or from the query. One that cannot be
// read is not refused: the stream starts with gaps, and the page fetches its state anew.
func (req *request) readCursor(lastEventID string, query url.Values) {
	text := lastEventID
	if text == "" {
		text = query.Get("cursor")
	}
	if text == "" {
		return
	}
	req.resume = true
	if cursor, err := protocol.DecodeCursor(req.tenant, text); err == nil {
		req.cursor = cursor
	}
}

// splitWish reads NAME or NAME@EPOCH/OFFSET.
func splitWish(s string) (wire string, since realtime.Position, resume, unreadable bool) {
	wire, position, resume := strings.Cut(s, "@")
	if !resume {
		return wire, since, false, false
	}
	epoch, offset, ok := strings.Cut(position, "/")
	n, err := strconv.ParseUint(offset, 10, 64)
	if !ok || err != nil || epoch == "" || len(epoch) > 32 {
		return wire, since, true, true
	}
	return wire, realtime.Position{Epoch: epoch, Offset: n}, true, false
}

// channel returns the channel that who calls wire. A foreign channel looks like an unknown one.
func (g *Gateway) channel(who *auth.Identity, wire string) (realtime.Channel, error) {
	ch, _, err := g.opts.Names.Parse(wire)
	if err != nil {
		return realtime.Channel{}, err
	}
	if !who.MaySee(ch.Tenant) {
		return realtime.Channel{}, realtime.ErrNoChannel
	}
	g.look(who, ch.Tenant)
	return ch, nil
}

// look logs it when somebody of the platform looks into a kitchen.
func (g *Gateway) look(who *auth.Identity, t tenant.ID) {
	if who.Platform && t != tenant.Global && t != who.Tenant {
		g.opts.Audit.Info("platform role looks into a kitchen", "sub", who.Subject, "role", who.Role, "tenant", t)
	}
}
