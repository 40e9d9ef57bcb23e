package gateway

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"kentongan/auth"
	"kentongan/internal/access"
	"kentongan/internal/answer"
	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
	"kentongan/realtime/socket"
	"kentongan/tenant"
)

// sseInterval is the longest silence in an event stream; proxies such as Traefik and nginx cut a quiet response after 60 s,
// some mobile networks after 30.
const sseInterval = 15 * time.Second

// unackedTimeout is how long the kernel waits for a peer to acknowledge what was sent, before it gives the connection
// up. It finds dead event streams, whose clients never send anything.
const unackedTimeout = 45 * time.Second

// lingerTime is how long a closing connection is kept for the peer to read the close frame.
const lingerTime = time.Second

// retryAfter is what clients are told that come while this server cannot take them.
const retryAfter = 5 * time.Second

// usualHead is for an answer to a handshake with the cookie of a device, in bytes.
const usualHead = 384

// serveWebSocket makes a session of an upgrade request.
func (g *Gateway) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	up, err := protocol.ParseUpgrade(r, protocol.UpgradeOptions{Deflate: g.opts.Deflate, Protocols: []string{protocol.SubprotocolV1}})
	if err != nil {
		g.refuseUpgrade(w, err)
		return
	}
	dialect := protocol.Bare
	if up.Protocol == protocol.SubprotocolV1 {
		dialect = protocol.V1
	}
	g.connect(w, r, dialect, up.Deflate, func(dst, more []byte) []byte { return protocol.AppendUpgradeResponse(dst, up, more) })
}

func (g *Gateway) refuseUpgrade(w http.ResponseWriter, err error) {
	var refused *protocol.UpgradeError
	if !errors.As(err, &refused) {
		panic("gateway: upgrade refused without a reason: " + err.Error())
	}
	g.stats.deny("bad-upgrade")
	maps.Copy(w.Header(), refused.Header)
	w.Header().Set("Connection", "close") // whoever gets this wrong may also be wrong about where its request ends
	// A body that was promised is not waited for any longer than a closing connection is.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerTime))
	answer.Error(w, refused.Status, string(refused.Code), refused.Message)
}

// serveSSE makes a session of a request for an event stream.
func (g *Gateway) serveSSE(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		answer.Error(w, http.StatusMethodNotAllowed, string(protocol.ErrMethod), "an event stream is fetched with GET")
		return
	}
	if !acceptsEvents(r.Header.Values("Accept")) {
		answer.Error(w, http.StatusNotAcceptable, "NOT_ACCEPTABLE", "this answers with text/event-stream only")
		return
	}
	if r.ProtoMajor >= 2 {
		over := newStreamWriter(w, r)
		defer over.await()
		w = over
	}
	g.connect(w, r, protocol.SSE, false, func(dst, _ []byte) []byte { return protocol.AppendSSEHead(dst, w.Header()) })
}

func acceptsEvents(accept []string) bool {
	all := strings.ToLower(strings.Join(accept, ","))
	return all == "" || strings.Contains(all, "text/event-stream") || strings.Contains(all, "*/*") || strings.Contains(all, "text/*")
}

// appendHead appends the head of an answer to dst. more are lines of it that are not the handshake's own.
type appendHead func(dst, more []byte) []byte

// connect checks the request, follows what it asks for, takes the connection over, and starts the session. Everything that can
// be refused is refused while HTTP can still say so.
func (g *Gateway) connect(
	w http.ResponseWriter, r *http.Request, dialect protocol.Dialect, deflate bool, head appendHead,
) {
	client := g.client(w, r)
	if short, ok := w.(*handshake); ok {
		short.asker = client
	}
	if !g.mayAsk(w, client) {
		return
	}
	if full := g.full(); full != "" { // before a credential costs anything: those who are here need the processors
		g.refuseSeat(w, full)
		return
	}
	who, ok := g.identify(w, r)
	if !ok {
		return
	}
	req, problem := g.parse(r, who, dialect)
	if problem != nil {
		g.stats.deny("bad-request")
		answer.Error(w, problem.Code.Status(), string(problem.Code), problem.Message)
		return
	}
	s := &session{gw: g, dialect: dialect, deflate: deflate, came: g.clock(), client: addressOf(client)}
	if req.tenant != who.Tenant {
		s.specially().abroad = req.tenant
	}
	s.who.Store(who)
	if full := g.reserve(s); full != "" {
		g.refuseSeat(w, full)
		return
	}
	if short, ok := w.(*handshake); ok && short.inLoop && (s.mustRemember(r) || !s.enterNow(req)) {
		short.later = func() { g.admit(w, r, s, head, req) }
		return
	}
	g.admit(w, r, s, head, req)
}

// admit follows what the client asks for, takes the connection over, and starts the session. It waits for an engine only if
// enterNow has not been there before, and for what is remembered of a device.
func (g *Gateway) admit(w http.ResponseWriter, r *http.Request, s *session, head appendHead, req request) {
	// The hub bounds how long an engine may take to follow a tenant, so no timer is made for each connection.
	err := s.enterAll(r.Context(), req)
	if err == nil {
		err = s.recognise(r.Context(), r, &req)
	}
	if err != nil {
		s.abandon()
		e := g.explain("", err)
		g.stats.deny(strings.ToLower(string(e.Code)))
		answer.Later(w, e.Code.Status(), string(e.Code), e.Message, retryAfter)
		return
	}
	conn, early, err := g.takeOver(w, s)
	if err != nil {
		s.abandon()
		g.opts.Log.Warn("connection cannot be taken over", "err", err)
		answer.Error(w, http.StatusInternalServerError, string(protocol.ErrInternal), "this connection cannot be upgraded")
		return
	}
	var first, more []byte
	short, isShort := w.(*handshake)
	if isShort {
		first, more = short.head[:0], short.lines[:0]
		if short.inLoop {
			conn.Gather()
		}
	}
	if s.proof != nil {
		more = g.appendDevice(more, r, s.proof.device)
	}
	if note := access.From(r.Context()); note != nil {
		more = append(more, access.Header+": "+note.ID+"\r\n"...)
		s.visit = g.visits(r)
	}
	g.begin(s, conn, early, head(first, more), req)
	if !isShort {
		conn.Resume() // it was adopted
	}
}

// identify authenticates and checks the origin; it answers the refusal itself.
func (g *Gateway) identify(w http.ResponseWriter, r *http.Request) (*auth.Identity, bool) {
	who, err := g.opts.Auth.Admit(r.Context(), r)
	if err != nil {
		g.stats.deny(auth.Reason(err))
		auth.Deny(w, err)
		return nil, false
	}
	return who, true
}

// enterAll enters what the client follows from the start: what it named, else everything of its kitchen. A v1 client that
// names nothing subscribes later. What enterNow has entered stays as it is.
func (s *session) enterAll(ctx context.Context, req request) error {
	if len(s.subs) > 0 {
		return nil
	}
	if len(req.wishes) > 0 || req.dialect == protocol.V1 {
		for _, w := range req.wishes {
			if _, err := s.enter(ctx, w.channel); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := s.enter(ctx, realtime.Channel{Tenant: req.tenant})
	return err
}

// enterNow is enterAll without waiting: false, it would have to wait, and nothing was entered.
func (s *session) enterNow(req request) bool {
	wishes := req.wishes
	if len(wishes) == 0 && req.dialect != protocol.V1 {
		wishes = []wish{{channel: realtime.Channel{Tenant: req.tenant}}}
	}
	for _, w := range wishes {
		sub := s.gw.hub.SubscribeNow(s, w.channel, s.home())
		if sub == nil {
			s.leaveAll()
			return false
		}
		s.follows(sub)
	}
	return true
}

// leaveAll ends all subscriptions.
func (s *session) leaveAll() {
	s.mu.Lock()
	subs := s.subs
	s.subs = nil
	s.mu.Unlock()
	for _, sub := range subs {
		s.gw.hub.Unsubscribe(sub)
		s.gw.presence.Leave(sub.Channel(), s.who.Load().Subject)
	}
}

// abandon takes back a session that never got its connection.
func (s *session) abandon() {
	s.leaveAll()
	s.gw.release(s)
}

// begin sends the head and starts the session, which conn is the handler of. early is what came behind the request.
func (g *Gateway) begin(s *session, conn *socket.Conn, early, head []byte, req request) {
	s.conn = conn
	if s.dialect == protocol.SSE {
		conn.GiveUpAfter(unackedTimeout) // pings do it for the others
	}
	g.goroutines.Add(1) // until OnEnd
	s.lastRead.Store(int64(g.awake()))
	s.budget, s.weight = newBudget(g.clock()), newBudget(g.clock())
	g.stats.open[s.dialect].Add(1)
	g.stats.opened[s.dialect].Add(1)

	late := g.link(s)
	s.arrive()
	s.goLive(req, head)
	s.tellFreshness()
	// The first beat comes early for some and late for others, so that those who came together do not beat together.
	s.nextBeat = g.clock() + s.interval()/2 + time.Duration(s.id%16)*s.interval()/32
	g.wheel.book(s, g.clock()) // at the next tick, to see when its credential ends
	g.opts.Log.Debug("session opened", "session", s, "who", req.who)
	if late {
		s.close(protocol.CloseDrain, "") // it was let in before the drain, which does not know it
	}
	if g.ctx.Err() != nil {
		conn.Abort() // nor does anybody hang up on it any more
	}
	if len(early) > 0 {
		s.OnBytes(early)
	}
}

// goLive sends the head and the greeting and makes the first subscriptions live, each after a replay if the client was
// here before. Without one, that is a single moment: a client that sees the head misses nothing that is published after it.
func (s *session) goLive(req request, head []byte) {
	s.mu.Lock()
	subs := slices.Clone(s.subs)
	s.mu.Unlock()
	begins := s.dialect == protocol.SSE && req.snapshot && !req.resume
	if begins {
		req.resume, req.cursor = true, s.gw.withoutSnapshots(subs)
	}
	if s.dialect == protocol.SSE && len(req.wishes) > 0 {
		s.specially().marks.positions = protocol.NewCursorEncoder(s.home(), req.cursor)
	}
	if s.dialect != protocol.V1 && !req.resume {
		s.gw.hub.GoLive(subs[0], func(h hub.Heads) bool {
			defer s.inOrder()()
			for _, sub := range subs {
				s.mark(sub.Channel(), h.At(sub.Channel()))
			}
			s.greet(head, subs, h.Cursor)
			return true
		}, subs[1:]...)
		return
	}
	replays := make([]*replay, len(subs))
	if s.dialect != protocol.V1 {
		for i, sub := range subs {
			replays[i] = s.resumeOf(&req, i, sub, begins)
		}
	}
	s.greet(head, subs, nil)
	if s.own() != nil && !begins {
		// There is no answer here that says when all that was missed has come; this says how far that is.
		s.push(protocol.Heartbeat{Time: time.Now(), Offsets: s.offsets()})
	}
	for i, sub := range subs {
		if s.dialect == protocol.V1 {
			s.goLiveNamed(sub, req.wishes[i], "")
			continue
		}
		replays[i].start()
	}
}

// resumeOf returns what brings one of the first subscriptions to its head, before the client hears anything. A channel that it never had,
// beside others that it comes back to, begins at the head of this moment: what is published once the client sees the answer is for it,
// however long it takes until the channel is live.
func (s *session) resumeOf(req *request, i int, sub *hub.Subscription, begins bool) *replay {
	ch := sub.Channel()
	r := &replay{s: s, sub: sub, one: ch, at: protocol.Cursor{}, others: req.others, snapshot: req.snapshot, none: req.none(i)}
	maps.Copy(r.at, req.cursor)
	if begins {
		r.none = ""
		return r
	}
	if r.none == "" && r.position(ch) == (realtime.Position{}) && (!r.snapshot || !s.gw.keeps(ch)) {
		s.gw.hub.View(sub, func(h hub.Heads) { r.at[ch] = h.At(ch) })
		r.nothing = r.at[ch] == realtime.Position{}
	}
	return r
}

// greet opens the session: from here on things are sent to it. cursor returns where a stream that starts now starts; nil
// if it resumes, and its client knows better.
func (s *session) greet(head []byte, subs []*hub.Subscription, cursor func() string) {
	if s.dialect != protocol.Bare { // which has no word for it
		head = append(head, s.frame(s.welcome(subs, cursor))...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != opening {
		s.conn.Abort() // it was to end before it began; the client tries again, and is told why not
		return
	}
	s.state = open
	s.gw.stats.bytesOut.Add(uint64(len(head)))
	if s.visit != nil {
		s.visit.bytes.Add(uint64(len(head)))
	}
	s.conn.SendFirst(head)
}

// welcome is the first push.
func (s *session) welcome(subs []*hub.Subscription, cursor func() string) protocol.Welcome {
	w := protocol.Welcome{
		Session: strconv.FormatUint(s.id, 36), Time: time.Now(), Heartbeat: s.interval(),
		MaxMessageBytes: s.gw.opts.MaxMessageBytes, Expires: s.who.Load().Expires.Time(),
	}
	for _, sub := range subs {
		if wire := sub.Wire(); wire != "" {
			w.Channels = append(w.Channels, wire)
		} else {
			w.Channels = append(s.gw.opts.Names.Of(sub.Channel().Tenant), s.gw.opts.Names.Of(tenant.Global)...)
		}
	}
	if s.dialect == protocol.SSE {
		w.Retry = sseRetry
		if own := s.own(); cursor != nil && own != nil {
			w.Cursor = string(own.positions.Append(nil))
		} else if cursor != nil {
			w.Cursor = cursor()
		}
	}
	return w
}

// sseRetry is how long a browser waits before it opens a lost stream again.
const sseRetry = 2 * time.Second
