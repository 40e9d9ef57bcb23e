package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kentongan/chaos/check"
)

// record is all that a run has written down until some moment. It can be kept, and judged again.
type record struct {
	World       check.World
	Publishers  []check.Publisher
	Subscribers []check.Subscriber
}

// record returns what both sides have written down so far. The subscribers' come first: what they got was begun before.
func (s *stage) record() record {
	r := record{Subscribers: make([]check.Subscriber, len(s.clients)), Publishers: make([]check.Publisher, len(s.publishers))}
	for i, c := range s.clients {
		r.Subscribers[i] = c.History()
	}
	s.endRights(r.Subscribers)
	for i, p := range s.publishers {
		r.Publishers[i] = p.History()
	}
	if s.kitchen != nil {
		pubs, subs := s.kitchen.histories(len(r.Publishers))
		r.Publishers, r.Subscribers = append(r.Publishers, pubs...), append(r.Subscribers, subs...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.World = *s.world
	r.World.Faults = int(s.injected.Load())
	r.World.Excuses = append([]check.Excuse(nil), s.world.Excuses...)
	r.World.Losses = append([]check.Excuse(nil), s.world.Losses...)
	return r
}

func (r *record) judge() check.Verdict { return check.Judge(&r.World, r.Publishers, r.Subscribers) }

// recordFile is the name of a record in a folder that was kept.
const recordFile = "record.json"

// readRecord reads a record that was kept in dir.
func readRecord(dir string) (record, error) {
	var r record
	text, err := os.ReadFile(filepath.Join(dir, recordFile)) //nolint:gosec // the user names the folder
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read a run that was kept: %w", err)
	}
	return r, nil
}

// keep copies r and the logs of the run to a new folder in dir, unless dir is empty.
func (s *stage) keep(dir string, r record) error {
	if dir == "" {
		return nil
	}
	dir = filepath.Join(dir, fmt.Sprintf("%s-%s-%d", s.name, s.engine, s.seed))
	if err := os.MkdirAll(dir, 0o750); err != nil { //nolint:gosec // the user names the folder
		return fmt.Errorf("keep run: %w", err)
	}
	to, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("keep run: %w", err)
	}
	defer func() { _ = to.Close() }() // nothing is written through it any more
	s.mu.Lock()
	faults := strings.Join(s.logged, "\n") + "\n"
	s.mu.Unlock()
	errs := []error{to.WriteFile("faults.txt", []byte(faults), 0o600)}
	text, err := json.Marshal(r)
	if err == nil {
		err = to.WriteFile(recordFile, text, 0o600)
	}
	errs = append(errs, err)
	logs, err := filepath.Glob(filepath.Join(s.dir, "*.log"))
	errs = append(errs, err)
	for _, log := range logs {
		text, err := os.ReadFile(log) //nolint:gosec // our folder
		if err == nil {
			err = to.WriteFile(filepath.Base(log), text, 0o600)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("keep run: %w", err)
	}
	return nil
}
