package gateway

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
	"kentongan/tenant"
)

// deviceCookie is the cookie by which a browser is known again: a random number in base64url, and nothing else.
const deviceCookie = "kentongan_device"

// deviceCookieAge is how long browsers keep it. Each connection renews it, and none lives longer than the session that it came
// with, which are 30 days with Auth.js.
const deviceCookieAge = 30 * 24 * time.Hour

// deviceOf returns the device that the request names. A cookie that we cannot have set is none.
func deviceOf(r *http.Request) (id realtime.DeviceID, ok bool) {
	for _, header := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(header, ";") {
			value, ours := strings.CutPrefix(strings.TrimLeft(pair, " "), deviceCookie+"=")
			if !ours || base64.RawURLEncoding.DecodedLen(len(value)) != len(id) {
				continue
			}
			if n, err := base64.RawURLEncoding.Strict().Decode(id[:], []byte(value)); err == nil && n == len(id) {
				return id, true
			}
		}
	}
	return realtime.DeviceID{}, false
}

// appendDevice appends the header line of an upgrade that has the browser keep its id. Secure is set where there is TLS: in a
// kitchen's own network there may be none.
func (g *Gateway) appendDevice(dst []byte, r *http.Request, id realtime.DeviceID) []byte {
	dst = append(dst, "Set-Cookie: "+deviceCookie+"="...)
	dst = base64.RawURLEncoding.AppendEncode(dst, id[:])
	dst = append(dst, "; Path=/; Max-Age="...)
	dst = strconv.AppendInt(dst, int64(deviceCookieAge/time.Second), 10)
	dst = append(dst, "; HttpOnly"...)
	if g.secure(r) {
		dst = append(dst, "; Secure"...)
	}
	return append(dst, "; SameSite=Lax\r\n"...)
}

// recognise finds out how far the browser of a bare client had come, so that it is sent what came after that, and
// begins to keep account of what this connection gets. It may wait for the engine, whose error it returns: whoever goes on without an
// answer might miss something.
//
// It does nothing for those who follow channels of another kitchen than their own: a position is about one.
func (s *session) recognise(ctx context.Context, r *http.Request, req *request) error {
	g := s.gw
	sub := s.homeSubscription()
	if g.opts.Devices == nil || s.dialect != protocol.Bare || sub == nil {
		return nil
	}
	id, came := deviceOf(r)
	var positions []string
	if came {
		var known bool
		var err error
		if positions, known, err = g.opts.Devices.Positions(ctx, realtime.Device{Tenant: s.home(), ID: id}); err != nil {
			return err //nolint:wrapcheck // explained by its kind
		}
		if !known { // it was here before, and nobody knows what it missed since
			req.resume, req.cursor = true, protocol.Cursor{}
			g.stats.devicesUnknown.Add(1)
		}
	} else {
		_, _ = rand.Read(id[:]) // never fails
	}
	p := &proof{device: id, sub: sub, whole: sub.Wire() == ""}
	p.at.Store(int64(-proofPause)) // never
	g.hub.View(sub, func(h hub.Heads) {
		if len(positions) > 0 {
			req.resume = true
			req.cursor, req.others = oldest(s.home(), positions, h.Positions())
		}
		p.proven = h.Cursor()
	})
	if req.resume {
		p.proven = protocol.EncodeCursor(s.home(), req.cursor)
		p.behind.Store(int32(len(s.subs))) //nolint:gosec // MaxChannels at most
	}
	s.proof = p
	return nil
}

// mustRemember reports whether recognise has to ask the engine about the browser that sent r.
func (s *session) mustRemember(r *http.Request) bool {
	_, came := deviceOf(r)
	return came && s.gw.opts.Devices != nil && s.dialect == protocol.Bare
}

func randomID() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// homeSubscription returns a subscription in the session's own kitchen, or nil if it has none, or also others than that and global ones.
func (s *session) homeSubscription() (home *hub.Subscription) {
	for _, sub := range s.subs {
		switch sub.Channel().Tenant {
		case s.home():
			home = sub
		case tenant.Global:
		default:
			return nil
		}
	}
	return home
}

// oldest returns for each channel the oldest of the positions in words, cursors of the tenant t. What cannot be read may be older than
// all, and so everything may be missing. Of positions in several epochs the one of a bygone epoch is taken, so that it is
// told as a gap. It also returns what was read.
func oldest(t tenant.ID, words []string, heads protocol.Cursor) (protocol.Cursor, []protocol.Cursor) {
	cursors := make([]protocol.Cursor, len(words))
	channels := map[realtime.Channel]struct{}{}
	for ch := range heads {
		channels[ch] = struct{}{}
	}
	for i, word := range words {
		c, err := protocol.DecodeCursor(t, word)
		if err != nil {
			return protocol.Cursor{}, nil
		}
		cursors[i] = c
		for ch := range c {
			channels[ch] = struct{}{}
		}
	}
	first := maps.Clone(cursors[0])
	for ch := range channels {
		first[ch] = cursors[0].At(ch)
		for _, c := range cursors[1:] {
			p, least := c.At(ch), first[ch]
			if p.Epoch == least.Epoch && p.Offset < least.Offset || p.Epoch != least.Epoch && p.Epoch != heads.At(ch).Epoch {
				first[ch] = p
			}
		}
	}
	return first, cursors
}
