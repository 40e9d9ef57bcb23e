package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"kentongan/chaos/check"
)

// Guests are clients whose sessions are revoked early in a run: one of each dialect, the last ones in the list. From then on
// nothing may come to them, through whichever gateway.
const guests = 3

// isGuest reports whether the client with an index is one.
func (s *stage) isGuest(i int) bool { return i >= s.scene.clients }

// user is the name in the session of the client with an index.
func user(i int) string { return fmt.Sprintf("user_%d", i) }

// revoke ends the sessions of the guests, by one call to one gateway for each, and waits until they have been told that they
// need not come back: a restart of the memory engine forgets what was revoked.
func (s *stage) revoke(ctx context.Context) error {
	for i := s.scene.clients; i < len(s.clients); i++ {
		body := fmt.Sprintf(`{"sub":%q,"issuedBefore":%d}`, user(i), time.Now().Add(time.Second).UnixMilli())
		node := s.gateways[i%len(s.gateways)]
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+node.Address+"/api/revoke", strings.NewReader(body))
		if err != nil {
			return fmt.Errorf("revoke: %w", err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+apiKey)
		req.Close = true
		const patience = 5 * time.Second
		resp, err := (&http.Client{Timeout: patience}).Do(req)
		if err != nil {
			return fmt.Errorf("revoke: %w", err)
		}
		_ = resp.Body.Close() // only the status matters
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("revoke: got %s", resp.Status)
		}
		s.mu.Lock()
		s.ends[i] = s.clock()
		s.mu.Unlock()
	}
	for deadline := time.Now().Add(revocationTime); time.Now().Before(deadline); {
		if int(s.gone.Load()) == len(s.clients)-s.scene.clients {
			return nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil // the verdict says what was delivered too late
}

// revocationTime is how long a gateway may take to end a session that was revoked.
const revocationTime = 5 * time.Second

// endRights enters what revoke did into the histories.
func (s *stage) endRights(subs []check.Subscriber) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, at := range s.ends {
		subs[i].Ends = at
	}
}

// away lists the clients that should be connected and are not.
func (s *stage) away() (names []string) {
	for i, c := range s.clients {
		if up, why := c.Up(); !up && !s.revoked(i) {
			names = append(names, c.Name()+": "+why)
		}
	}
	if s.kitchen != nil {
		for _, w := range s.kitchen.watchers {
			if up, why := w.Up(); !up {
				names = append(names, w.Name()+": "+why)
			}
		}
	}
	return slices.Clip(names)
}

func (s *stage) revoked(i int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.ends[i]
	return ok
}
