package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kentongan/web"
)

// kitchen is a server of one kitchen that keeps just enough of docs/protocol.md for the page, so that a test can do with
// it what a real server does only in bad hours.
type kitchen struct {
	URL string

	mu       sync.Mutex
	info     map[string]any // of GET /api/ws; nil: nobody is signed in
	refused  int            // status of upgrades that are to fail; 0: none
	epoch    string
	channels map[string][]json.RawMessage // message i has the offset i+1
	dropped  map[string]int               // how many of the oldest messages are no longer held
	lines    map[*line]bool
	opened   int      // connections so far
	origins  []string // Origin of each sign-out
}

// line is one connection. Its follows are guarded by the kitchen's mutex, under which alone messages are written.
type line struct {
	conn    *websocket.Conn
	follows map[string]bool
}

type command struct {
	ID        int
	Subscribe *struct {
		Channel string
		Since   *position
	}
	History *struct {
		Channel string
		Since   *position
		Limit   int
	}
	Ping *struct{}
}

type position struct {
	Epoch  string `json:"epoch"`
	Offset int    `json:"offset"`
}

type object map[string]any

func openKitchen(t *testing.T, id string, channels ...string) *kitchen {
	t.Helper()
	k := &kitchen{
		info:  object{"sppgId": id, "userId": "u1", "channels": channels},
		epoch: "first", channels: map[string][]json.RawMessage{}, dropped: map[string]int{}, lines: map[*line]bool{},
	}
	for _, name := range channels {
		k.channels[name] = nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/ws", k.serveLine)
	mux.HandleFunc("POST /signout", k.serveSignOut)
	mux.Handle("/", web.Handler(web.Options{}))
	srv := httptest.NewServer(mux)
	k.URL = srv.URL
	t.Cleanup(func() {
		k.cut()
		srv.Close()
	})
	return k
}

// publish gives a message its position and sends it to all who follow.
func (k *kitchen) publish(t *testing.T, channel string, data any) {
	t.Helper()
	raw, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.channels[channel] = append(k.channels[channel], raw)
	for l := range k.lines {
		if l.follows[channel] {
			l.send(object{"message": k.message(channel, len(k.channels[channel]))})
		}
	}
}

// tell pushes o on all connections.
func (k *kitchen) tell(o object) {
	for _, l := range k.all() {
		l.send(o)
	}
}

// cut ends all connections without a word.
func (k *kitchen) cut() {
	for _, l := range k.all() {
		_ = l.conn.CloseNow()
	}
}

// closeAll ends all connections with a close code.
func (k *kitchen) closeAll(code websocket.StatusCode, reason string) {
	for _, l := range k.all() {
		_ = l.conn.Close(code, reason)
	}
}

func (k *kitchen) all() []*line {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []*line
	for l := range k.lines {
		all = append(all, l)
	}
	return all
}

// change changes what the kitchen does from now on.
func (k *kitchen) change(f func(k *kitchen)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(k)
}

func (k *kitchen) connections() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.opened
}

func (k *kitchen) serveSignOut(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.origins = append(k.origins, r.Header.Get("Origin"))
	k.info = nil
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (k *kitchen) serveLine(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	info, refused := k.info, k.refused
	k.mu.Unlock()
	switch {
	case info == nil:
		w.WriteHeader(http.StatusUnauthorized)
	case r.Header.Get("Upgrade") == "":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(object{"success": true, "data": info})
	case refused != 0:
		w.WriteHeader(refused)
	default:
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"kentongan.v1"}})
		if err != nil {
			return
		}
		k.read(r.Context(), &line{conn: conn, follows: map[string]bool{}})
	}
}

func (k *kitchen) read(ctx context.Context, l *line) {
	k.mu.Lock()
	k.lines[l] = true
	k.opened++
	l.send(object{"welcome": object{"session": "s", "time": time.Now().UnixMilli(), "heartbeatMs": 25000}})
	k.mu.Unlock()
	for {
		_, data, err := l.conn.Read(ctx)
		if err != nil {
			break
		}
		var c command
		if json.Unmarshal(data, &c) == nil {
			k.mu.Lock()
			k.carryOut(l, c)
			k.mu.Unlock()
		}
	}
	k.mu.Lock()
	delete(k.lines, l)
	k.mu.Unlock()
	_ = l.conn.CloseNow()
}

func (k *kitchen) carryOut(l *line, c command) {
	switch {
	case c.Ping != nil:
		l.send(object{"id": c.ID, "pong": object{"time": time.Now().UnixMilli()}})
	case c.Subscribe != nil:
		k.subscribe(l, c.ID, c.Subscribe.Channel, c.Subscribe.Since)
	case c.History != nil:
		k.history(l, c)
	}
}

func (k *kitchen) subscribe(l *line, id int, channel string, since *position) {
	messages, known := k.channels[channel]
	if !known {
		l.send(object{"id": id, "error": object{"code": "NO_SUCH_CHANNEL", "message": "no such channel", "temporary": false}})
		return
	}
	answer := object{"channel": channel, "epoch": k.epoch, "offset": len(messages), "recovered": false}
	cause := k.gap(channel, since)
	switch {
	case since == nil:
	case cause != "":
		answer["gap"] = cause
	default:
		answer["recovered"] = true
	}
	l.follows[channel] = true
	l.send(object{"id": id, "subscribed": answer})
	if answer["recovered"] == true {
		for i := since.Offset; i < len(messages); i++ {
			l.send(object{"message": k.message(channel, i+1)})
		}
	}
}

func (k *kitchen) history(l *line, c command) {
	channel := c.History.Channel
	answer := object{"channel": channel, "epoch": k.epoch, "offset": len(k.channels[channel]), "messages": []object{}}
	first := k.dropped[channel]
	if c.History.Since != nil {
		first = c.History.Since.Offset
	}
	if cause := k.gap(channel, c.History.Since); cause != "" {
		answer["gap"] = cause
	} else {
		var messages []object
		for i := first; i < min(len(k.channels[channel]), first+c.History.Limit); i++ {
			messages = append(messages, k.message(channel, i+1))
		}
		answer["messages"] = messages
	}
	l.send(object{"id": c.ID, "history": answer})
}

// gap says why nothing can be continued from since, "" if it can.
func (k *kitchen) gap(channel string, since *position) string {
	switch {
	case since == nil:
		return ""
	case since.Epoch != k.epoch:
		return "epoch"
	case since.Offset < k.dropped[channel]:
		return "expired"
	}
	return ""
}

func (k *kitchen) message(channel string, offset int) object {
	return object{"channel": channel, "epoch": k.epoch, "offset": offset, "time": time.Now().UnixMilli(), "data": k.channels[channel][offset-1]}
}

// send writes one frame; whoever does not take it has gone.
func (l *line) send(frame object) {
	data, err := json.Marshal(frame)
	if err != nil {
		panic("kitchen_test: " + err.Error())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = l.conn.Write(ctx, websocket.MessageText, data)
}
