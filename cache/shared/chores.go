package shared

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// A chore is claimed for so long. It is many times what one portion takes; a node that dies with one holds it up no longer.
const choreTime = 30 * time.Second

// perStep is how many entries one step of a chore removes, far below 3 ms of Redis' time.
const perStep = 250

// stepsAtOnce bounds a portion, so that other chores get their turn.
const stepsAtOnce = 200

// Chore implements Tier.
func (r *Redis) Chore(ctx context.Context) (bool, error) {
	if r.opts.Cluster {
		return false, nil // they are for the app, which knows no Cluster
	}
	results, err := r.do(ctx, r.commands, step{
		script: claimScript, keys: []string{choresKey}, args: []string{strconv.FormatInt(choreTime.Microseconds(), 10)},
	})
	if err != nil {
		return false, fmt.Errorf("claim a chore: %w", err)
	}
	chore, err := results[0].ToString()
	if rueidis.IsRedisNil(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("claim a chore: %w", err)
	}
	kind, what, _ := strings.Cut(chore, " ")
	finished := true
	switch kind {
	case "again":
		err = r.dropForeign(ctx, what)
	case "tag":
		finished, err = r.drain(ctx, what)
	case "tenant":
		err = r.clear(ctx, what)
	}
	if err != nil {
		return true, fmt.Errorf("chore %s: %w", kind, err)
	}
	if !finished { // go on at once
		_, err = r.do(ctx, r.commands, step{keys: []string{choresKey}, args: []string{"ZADD", "XX", "0", chore}})
		return true, err
	}
	_, err = r.do(ctx, r.commands, step{keys: []string{choresKey}, args: []string{"ZREM", chore}})
	return true, err
}

// dropForeign removes what the app has written under a name that was invalidated shortly before.
func (r *Redis) dropForeign(ctx context.Context, key string) error {
	results, err := r.do(ctx, r.commands, step{keys: []string{key}, args: []string{"GETRANGE", "0", "10"}, read: true})
	if err != nil {
		return err
	}
	// What is looked at may be replaced before it is removed. Then one load is lost, and nothing else.
	if head, _ := results[0].ToString(); head == "" || strings.HasPrefix(head, `{"version":`) || strings.HasPrefix(head, "0e") {
		return nil
	}
	_, err = r.do(ctx, r.commands, step{keys: []string{key}, args: []string{"UNLINK"}})
	return err
}

// drain removes the entries of a tag.
func (r *Redis) drain(ctx context.Context, trash string) (bool, error) {
	for range stepsAtOnce {
		results, err := r.do(ctx, r.commands, step{keys: []string{trash}, args: []string{"SPOP", strconv.Itoa(perStep)}})
		if err != nil {
			return false, err
		}
		names, err := results[0].AsStrSlice()
		if err != nil || len(names) == 0 {
			return err == nil, err
		}
		if _, err := r.do(ctx, r.commands, step{keys: names, args: []string{"UNLINK"}}); err != nil {
			return false, err
		}
	}
	return false, nil
}

// clear removes the entries of a tenant. It looks at all names there are, in small steps: there is no list of those of one tenant.
func (r *Redis) clear(ctx context.Context, prefix string) error {
	cursor := "0"
	for {
		results, err := r.do(ctx, r.commands, step{
			args: []string{"SCAN", cursor, "MATCH", prefix + "*", "COUNT", strconv.Itoa(perStep)}, read: true,
		})
		if err != nil {
			return err
		}
		page, err := results[0].AsScanEntry()
		if err != nil {
			return err
		}
		if len(page.Elements) > 0 {
			if _, err := r.do(ctx, r.commands, step{keys: page.Elements, args: []string{"UNLINK"}}); err != nil {
				return err
			}
		}
		if page.Cursor == 0 {
			return nil
		}
		cursor = strconv.FormatUint(page.Cursor, 10)
	}
}
