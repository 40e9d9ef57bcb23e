package shared

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// Survey is what Redis holds of the cache, for the operator.
type Survey struct {
	Version   string `json:"version"` // of Redis
	Policy    string `json:"policy"`  // of eviction
	UsedBytes int64  `json:"usedBytes"`
	MaxBytes  int64  `json:"maxBytes"` // 0: no bound
	Evicted   int64  `json:"evicted"`  // names, since Redis began

	Names    int64          `json:"names"`    // in the database, of anybody
	Scanned  int64          `json:"scanned"`  // of these, looked at
	Found    map[string]int `json:"found"`    // how many names begin with each prefix
	Sampled  int            `json:"sampled"`  // names in sets of tags that were looked at
	Dead     int            `json:"dead"`     // of these, without an entry
	Chores   int64          `json:"chores"`   // left to be done
	Nodes    int64          `json:"nodes"`    // that have said within a minute that they live
	Warnings []string       `json:"warnings"` // settings that do not suit a cache
}

// surveyTagSets is how many sets of tags are looked into, and surveyMembers at how many names in each.
const (
	surveyTagSets = 50
	surveyMembers = 20
)

// Survey looks at up to limit names, in steps of less than 3 ms of Redis' time. prefixes are counted; tagSets are those of sets of tags.
func (r *Redis) Survey(ctx context.Context, limit int, prefixes, tagSets []string) (Survey, error) {
	s := Survey{Found: map[string]int{}, Warnings: []string{}}
	results, err := r.do(ctx, r.commands, step{args: []string{"INFO"}, read: true}, step{args: []string{"DBSIZE"}, read: true},
		question(choresKey, "ZCARD"), question(nodesKey, "ZCARD"))
	if err != nil {
		return s, fmt.Errorf("survey: %w", err)
	}
	info, err := results[0].ToString()
	if err != nil {
		return s, fmt.Errorf("survey: %w", err)
	}
	s.readInfo(info)
	s.Names, _ = results[1].AsInt64()
	s.Chores, _ = results[2].AsInt64()
	if s.Nodes, _ = results[3].AsInt64(); s.Nodes > 0 {
		s.Nodes-- // the list's own beginning
	}
	sets, err := r.countNames(ctx, &s, limit, prefixes, tagSets)
	if err != nil {
		return s, fmt.Errorf("survey: %w", err)
	}
	for _, set := range sets {
		if err := r.sampleSet(ctx, &s, set); err != nil {
			return s, fmt.Errorf("survey: %w", err)
		}
	}
	return s, nil
}

// Look returns what of a Survey costs nothing: how large Redis is, and which of its settings do not suit a cache.
func (r *Redis) Look(ctx context.Context) (Survey, error) {
	var s Survey
	results, err := r.do(ctx, r.commands, step{args: []string{"INFO", "memory"}, read: true}, step{args: []string{"DBSIZE"}, read: true})
	if err != nil {
		return s, fmt.Errorf("look at redis: %w", err)
	}
	info, err := results[0].ToString()
	if err != nil {
		return s, fmt.Errorf("look at redis: %w", err)
	}
	s.readInfo(info)
	s.Names, err = results[1].AsInt64()
	return s, err
}

func (s *Survey) readInfo(info string) {
	for line := range strings.SplitSeq(info, "\r\n") {
		field, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseInt(value, 10, 64) // of those that are numbers
		switch field {
		case "redis_version", "valkey_version":
			s.Version = value
		case "maxmemory_policy":
			s.Policy = value
		case "used_memory":
			s.UsedBytes = n
		case "maxmemory":
			s.MaxBytes = n
		case "evicted_keys":
			s.Evicted = n
		}
	}
	if s.MaxBytes == 0 {
		s.Warnings = append(s.Warnings, "maxmemory is not set: a cache that nothing bounds takes the machine's memory")
	}
	if s.Policy == "noeviction" && s.MaxBytes > 0 {
		s.Warnings = append(s.Warnings, "maxmemory-policy is noeviction: when Redis is full, writes fail instead of old entries going")
	}
}

// countNames scans, and returns some of the sets of tags that it came by.
func (r *Redis) countNames(ctx context.Context, s *Survey, limit int, prefixes, tagSets []string) (sets []string, err error) {
	cursor := "0"
	for s.Scanned < int64(limit) {
		results, err := r.do(ctx, r.commands, step{args: []string{"SCAN", cursor, "COUNT", strconv.Itoa(perStep)}, read: true})
		if err != nil {
			return nil, err
		}
		page, err := results[0].AsScanEntry()
		if err != nil {
			return nil, err
		}
		for _, name := range page.Elements {
			s.Scanned++
			for _, p := range prefixes {
				if strings.HasPrefix(name, p) {
					s.Found[p]++
				}
			}
			for _, p := range tagSets {
				if strings.HasPrefix(name, p) && len(sets) < surveyTagSets {
					sets = append(sets, name)
				}
			}
		}
		if page.Cursor == 0 {
			break
		}
		cursor = strconv.FormatUint(page.Cursor, 10)
	}
	return sets, nil
}

func (r *Redis) sampleSet(ctx context.Context, s *Survey, set string) error {
	results, err := r.do(ctx, r.commands, step{keys: []string{set}, args: []string{"SRANDMEMBER", strconv.Itoa(surveyMembers)}, read: true})
	if err != nil {
		return err
	}
	members, err := results[0].AsStrSlice()
	if rueidis.IsRedisNil(err) || err == nil && len(members) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	steps := make([]step, len(members))
	for i, m := range members {
		steps[i] = step{keys: []string{m}, args: []string{"EXISTS"}, read: true}
	}
	if results, err = r.do(ctx, r.commands, steps...); err != nil {
		return err
	}
	for i := range results {
		if n, err := results[i].AsInt64(); err == nil && n == 0 {
			s.Dead++
		}
	}
	s.Sampled += len(members)
	return nil
}
