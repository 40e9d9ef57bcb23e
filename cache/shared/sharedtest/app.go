package sharedtest

import (
	"encoding/json"
	"time"
)

// App is the existing app's cache service, as it uses a Server: it knows neither leases nor epochs, and each of its steps is
// one of many.
type App struct{ server *Server }

// NewApp returns an App of s.
func NewApp(s *Server) *App { return &App{s} }

// appEntry is what the app writes, in its order.
type appEntry struct {
	Data      json.RawMessage `json:"data"`
	CreatedAt string          `json:"createdAt"`
	ExpiresAt string          `json:"expiresAt"`
	Version   string          `json:"version"`
	SppgID    string          `json:"sppgId,omitempty"`
	Tags      []string        `json:"tags"`
}

// Set writes an entry with its tag sets.
func (a *App) Set(key, tenant string, data json.RawMessage, ttl time.Duration, tags, sets []string) {
	now := time.Now().UTC()
	const iso = "2006-01-02T15:04:05.000Z"
	text, err := json.Marshal(appEntry{data, now.Format(iso), now.Add(ttl).Format(iso), "1.0", tenant, tags})
	if err != nil {
		panic("sharedtest: " + err.Error()) // data is no JSON: a mistake of the test
	}
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	a.server.set(key, string(text), ttl)
	for _, set := range sets {
		a.server.add(set, key)
	}
}

// Get returns the data of an entry, or nil: it takes for a miss what is no object.
func (a *App) Get(key string) json.RawMessage {
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	var e appEntry
	if err := json.Unmarshal([]byte(a.server.get(key)), &e); err != nil {
		return nil
	}
	if ends, err := time.Parse(time.RFC3339, e.ExpiresAt); err == nil && time.Now().After(ends) {
		a.server.del(key)
		return nil
	}
	return e.Data
}

// Delete removes one entry.
func (a *App) Delete(key string) {
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	a.server.del(key)
}

// InvalidateTag removes the entries that a set lists, and then the set. between is called after each step.
func (a *App) InvalidateTag(set string, between func()) {
	a.server.mu.Lock()
	var members []string
	for m := range a.server.sets[set] {
		members = append(members, m)
	}
	a.server.mu.Unlock()
	for _, m := range members {
		between()
		a.Delete(m)
	}
	between()
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	delete(a.server.sets, set)
}
