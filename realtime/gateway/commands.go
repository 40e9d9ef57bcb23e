package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
	"kentongan/tenant"
)

// commandTimeout is how long the engine may take for one command: the command timeout of the contract with the app.
const commandTimeout = 5 * time.Second

// maxHistory is how many publications one answer holds at most; the client asks on from the last one.
const maxHistory = 1000

// carryOut does what a client asks for and answers it. It may wait for the engine.
func (s *session) carryOut(c protocol.Command) {
	ctx, cancel := context.WithTimeout(s.gw.ctx, commandTimeout)
	defer cancel()
	var err error
	switch c.Verb {
	case protocol.VerbSubscribe:
		err = s.onSubscribe(ctx, c)
	case protocol.VerbUnsubscribe:
		err = s.onUnsubscribe(c)
	case protocol.VerbPublish:
		err = s.onPublish(ctx, c)
	case protocol.VerbHistory:
		err = s.onHistory(ctx, c)
	case protocol.VerbPresence:
		err = s.onPresence(ctx, c)
	case protocol.VerbPing:
		s.push(protocol.Pong{ID: c.ID, Time: time.Now()})
	}
	if err != nil {
		s.push(s.gw.explain(c.ID, err))
	}
}

// explain turns an error into what the client is told. What is not in here is our mistake, and its text stays in the log.
func (g *Gateway) explain(id protocol.ID, err error) *protocol.CommandError {
	var known *protocol.CommandError
	var wrong *realtime.Mismatch
	switch {
	case errors.As(err, &known):
		known.ID = id
		return known
	case errors.Is(err, realtime.ErrNoChannel):
		return protocol.NoSuchChannel(id)
	case errors.Is(err, realtime.ErrKeyReused):
		return &protocol.CommandError{ID: id, Code: protocol.ErrKeyReused, Message: "this key came before with other data; use a new one"}
	case errors.As(err, &wrong):
		return &protocol.CommandError{ID: id, Code: protocol.ErrMismatch, Message: wrong.Error()}
	case errors.Is(err, realtime.ErrInvalid):
		return &protocol.CommandError{ID: id, Code: protocol.ErrInvalidData, Message: err.Error()}
	case errors.Is(err, realtime.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, hub.ErrClosed):
		return &protocol.CommandError{ID: id, Code: protocol.ErrUnavailable, Message: "the engine cannot be reached now; try again"}
	case errors.Is(err, context.Canceled):
		return &protocol.CommandError{ID: id, Code: protocol.ErrUnavailable, Message: "this server is going away; try again"}
	}
	g.opts.Log.Error("command broken by a mistake of ours", "err", err)
	return &protocol.CommandError{ID: id, Code: protocol.ErrInternal, Message: "something went wrong here; it was logged"}
}

// channel returns the channel that a client calls wire, if it may see it. A foreign channel looks like an unknown one.
func (s *session) channel(wire string) (realtime.Channel, error) {
	return s.gw.channel(s.who.Load(), wire)
}

func (s *session) onSubscribe(ctx context.Context, c protocol.Command) error {
	for _, wire := range c.Channels {
		ch, err := s.channel(wire)
		if err != nil {
			return err
		}
		if sub := s.following(ch); sub != nil {
			// Asked again, or a bare client names what it gets anyway: not an error, and nothing comes twice.
			var at realtime.Position
			s.gw.hub.View(sub, func(h hub.Heads) { at = h.At(ch) })
			s.push(protocol.Subscribed{ID: c.ID, Channel: wire, Position: at})
			continue
		}
		w := wish{channel: ch, wire: wire, since: c.Since, unreadable: c.BadSince, snapshot: c.Snapshot}
		w.resume = c.BadSince || c.Since != realtime.Position{}
		err = s.follow(ctx, w, c.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

// wish is one channel that a client wants to follow.
type wish struct {
	channel    realtime.Channel
	wire       string
	resume     bool // the client was here before
	since      realtime.Position
	unreadable bool // it was, but its position cannot be read
	snapshot   bool // it wants the newest of each key if its position cannot be continued from
}

// following returns the subscription by which ch reaches the session already, or nil.
func (s *session) following(ch realtime.Channel) *hub.Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		followed := sub.Channel()
		all := followed.Name == "" && (followed.Tenant == ch.Tenant || ch.Tenant == tenant.Global)
		if followed == ch || all {
			return sub
		}
	}
	return nil
}

// follow enters a named channel, and answers with subscribed.
func (s *session) follow(ctx context.Context, w wish, id protocol.ID) error {
	sub, err := s.enter(ctx, w.channel)
	if err != nil {
		return err
	}
	s.goLiveNamed(sub, w, id)
	return nil
}

// goLiveNamed makes a subscription live and answers with subscribed: at once, or once the outcome of a resume is known. The
// replay goes on by itself.
func (s *session) goLiveNamed(sub *hub.Subscription, w wish, id protocol.ID) {
	answer := func(o outcome) {
		s.push(protocol.Subscribed{ID: id, Channel: w.wire, Position: o.head, Recovered: o.recovered, Snapshot: o.snapshot, Gap: o.cause})
	}
	none := realtime.GapEpoch
	switch {
	case w.unreadable:
		none = realtime.GapMalformed
	case !w.resume:
		none = ""
	}
	w.snapshot = w.snapshot && s.gw.keeps(w.channel)
	if (!w.resume || w.unreadable) && !w.snapshot {
		s.gw.hub.GoLive(sub, func(h hub.Heads) bool {
			answer(outcome{cause: none, head: h.At(w.channel)})
			return true
		})
		return
	}
	r := &replay{s: s, sub: sub, one: w.channel, first: answer, at: protocol.Cursor{w.channel: w.since}, snapshot: w.snapshot, none: none}
	r.start()
}

// enter makes a subscription that is not live yet and counts the user as present.
func (s *session) enter(ctx context.Context, ch realtime.Channel) (*hub.Subscription, error) {
	s.mu.Lock()
	n := len(s.subs)
	s.mu.Unlock()
	if n >= s.gw.opts.MaxChannels {
		return nil, &protocol.CommandError{
			Code: protocol.ErrTooManyChannels, Message: fmt.Sprintf("a connection may follow %d channels at most", s.gw.opts.MaxChannels),
		}
	}
	sub, err := s.gw.hub.Subscribe(ctx, s, ch, s.home())
	if err != nil {
		return nil, err
	}
	s.follows(sub)
	return sub, nil
}

// follows notes a subscription and counts the user as present. If the session has ended meanwhile it takes it back.
func (s *session) follows(sub *hub.Subscription) {
	s.mu.Lock()
	ended := s.state == gone
	if !ended {
		s.subs = append(s.subs, sub)
	}
	s.mu.Unlock()
	if ended {
		s.gw.hub.Unsubscribe(sub)
		return
	}
	s.gw.presence.Join(sub.Channel(), s.who.Load().Subject)
}

func (s *session) onUnsubscribe(c protocol.Command) error {
	for _, wire := range c.Channels {
		ch, err := s.channel(wire)
		if err != nil {
			return err
		}
		s.mu.Lock()
		at := slices.IndexFunc(s.subs, func(sub *hub.Subscription) bool { return sub.Channel() == ch })
		var sub *hub.Subscription
		if at >= 0 {
			sub = s.subs[at]
			s.subs = slices.Delete(s.subs, at, at+1)
		}
		s.mu.Unlock()
		if sub == nil {
			return &protocol.CommandError{
				Code: protocol.ErrNotSubscribed, Message: "this connection does not follow that channel by its name",
			}
		}
		s.gw.hub.Unsubscribe(sub)
		s.gw.presence.Leave(ch, s.who.Load().Subject)
		s.push(protocol.Unsubscribed{ID: c.ID, Channel: wire})
	}
	return nil
}

// onPublish takes publications of servers. Browsers have the app's own API for what they want to say.
func (s *session) onPublish(ctx context.Context, c protocol.Command) error {
	if !s.who.Load().Server {
		return &protocol.CommandError{Code: protocol.ErrForbidden, Message: "only servers with an API key may publish"}
	}
	wire := c.Channels[0]
	ch, err := s.channel(wire)
	if err != nil {
		return err
	}
	if who := s.who.Load(); ch.Tenant == tenant.Global && who.Tenant != tenant.Global {
		return realtime.ErrNoChannel // a key of one kitchen may hear the global channels but not speak in them
	}
	if !json.Valid(c.Data) {
		return &protocol.CommandError{Code: protocol.ErrInvalidData, Message: "data must be one JSON text"}
	}
	if allow := s.gw.opts.MayPublish; allow != nil {
		if wait, why := allow(s.who.Load().Subject, ch.Tenant); wait > 0 {
			return &protocol.CommandError{Code: protocol.ErrRateLimited, Message: why}
		}
	}
	if fits := s.gw.opts.Fits; fits != nil {
		if wrong := fits(ch, c.Data); wrong != nil {
			return wrong
		}
	}
	published, err := s.gw.opts.Broker.Publish(ctx, ch, c.Data, realtime.PublishOptions{Key: c.Key, Arrived: time.Now()})
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	s.push(protocol.Published{ID: c.ID, Channel: wire, Position: published.Position, Duplicate: published.Duplicate})
	return nil
}

func (s *session) onHistory(ctx context.Context, c protocol.Command) error {
	wire := c.Channels[0]
	ch, err := s.channel(wire)
	if err != nil {
		return err
	}
	page, err := s.gw.history(ctx, s.who.Load(), ch, c.Since, c.BadSince, c.Limit)
	if err != nil {
		return err
	}
	s.push(protocol.History{ID: c.ID, Channel: wire, Page: page})
	return nil
}

func (s *session) onPresence(ctx context.Context, c protocol.Command) error {
	wire := c.Channels[0]
	ch, err := s.channel(wire)
	if err != nil {
		return err
	}
	members, err := s.gw.presence.Members(ctx, ch)
	if err != nil {
		return fmt.Errorf("presence: %w", err)
	}
	s.push(protocol.Presence{ID: c.ID, Channel: wire, Members: members})
	return nil
}
