package shared

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// Structures are hashes, lists and sets under a name. Each write lets the whole structure live for ttl from then on. What does not exist
// is empty.
type Structures interface {
	HashSet(ctx context.Context, key string, ttl time.Duration, fields map[string]string) error
	HashGet(ctx context.Context, key, field string) (value string, ok bool, err error)
	HashAll(ctx context.Context, key string) (map[string]string, error)
	HashDelete(ctx context.Context, key string, fields []string) error

	// ListPush adds values at the front, as the newest, and keeps the newest limit of all; zero: all.
	ListPush(ctx context.Context, key string, ttl time.Duration, limit int, values []string) error
	// ListRange returns values from the place first to last, as Redis counts: -1 is the last one.
	ListRange(ctx context.Context, key string, first, last int) ([]string, error)

	SetAdd(ctx context.Context, key string, ttl time.Duration, members []string) error
	SetRemove(ctx context.Context, key string, members []string) error
	SetHas(ctx context.Context, key, member string) (bool, error)
	SetAll(ctx context.Context, key string) ([]string, error)
}

var _ Structures = (*Redis)(nil)

func write(key string, words ...string) step { return step{keys: []string{key}, args: words} }

func question(key string, words ...string) step {
	return step{keys: []string{key}, args: words, read: true}
}

// change runs writes on one structure and lets it live. The steps are one transaction: none of them shows without the end of life.
func (r *Redis) change(ctx context.Context, doing, key string, ttl time.Duration, steps ...step) error {
	all := append([]step{{args: []string{"MULTI"}}}, steps...)
	all = append(all, write(key, "PEXPIRE", millis(ttl)), step{args: []string{"EXEC"}})
	if r.opts.Cluster { // where a transaction would have to be sent to one node by hand
		all = slices.Concat(steps, []step{write(key, "PEXPIRE", millis(ttl))})
	}
	results, err := r.do(ctx, r.commands, all...)
	if err == nil && !r.opts.Cluster {
		var done []rueidis.RedisMessage // what Redis refuses inside of a transaction is in its answer
		if done, err = results[len(results)-1].ToArray(); err == nil {
			for i := range done {
				err = errors.Join(err, explain(done[i].Error()))
			}
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

func (r *Redis) ask(ctx context.Context, doing string, s step) (rueidis.RedisResult, error) {
	results, err := r.do(ctx, r.commands, s)
	if err != nil {
		return rueidis.RedisResult{}, fmt.Errorf("%s: %w", doing, err)
	}
	return results[0], nil
}

// HashSet implements Structures.
func (r *Redis) HashSet(ctx context.Context, key string, ttl time.Duration, fields map[string]string) error {
	words := []string{"HSET"}
	for f, v := range fields {
		words = append(words, f, v)
	}
	return r.change(ctx, "write hash", key, ttl, write(key, words...))
}

// HashGet implements Structures.
func (r *Redis) HashGet(ctx context.Context, key, field string) (string, bool, error) {
	result, err := r.ask(ctx, "read hash", question(key, "HGET", field))
	if err != nil {
		return "", false, err
	}
	v, err := result.ToString()
	if rueidis.IsRedisNil(err) {
		return "", false, nil
	}
	return v, err == nil, err
}

// HashAll implements Structures.
func (r *Redis) HashAll(ctx context.Context, key string) (map[string]string, error) {
	result, err := r.ask(ctx, "read hash", question(key, "HGETALL"))
	if err != nil {
		return nil, err
	}
	return result.AsStrMap()
}

// HashDelete implements Structures.
func (r *Redis) HashDelete(ctx context.Context, key string, fields []string) error {
	_, err := r.ask(ctx, "delete from hash", write(key, append([]string{"HDEL"}, fields...)...))
	return err
}

// ListPush implements Structures.
func (r *Redis) ListPush(ctx context.Context, key string, ttl time.Duration, limit int, values []string) error {
	steps := []step{write(key, append([]string{"LPUSH"}, values...)...)}
	if limit > 0 {
		steps = append(steps, write(key, "LTRIM", "0", strconv.Itoa(limit-1)))
	}
	return r.change(ctx, "write list", key, ttl, steps...)
}

// ListRange implements Structures.
func (r *Redis) ListRange(ctx context.Context, key string, first, last int) ([]string, error) {
	result, err := r.ask(ctx, "read list", question(key, "LRANGE", strconv.Itoa(first), strconv.Itoa(last)))
	if err != nil {
		return nil, err
	}
	return result.AsStrSlice()
}

// SetAdd implements Structures.
func (r *Redis) SetAdd(ctx context.Context, key string, ttl time.Duration, members []string) error {
	return r.change(ctx, "write set", key, ttl, write(key, append([]string{"SADD"}, members...)...))
}

// SetRemove implements Structures.
func (r *Redis) SetRemove(ctx context.Context, key string, members []string) error {
	_, err := r.ask(ctx, "remove from set", write(key, append([]string{"SREM"}, members...)...))
	return err
}

// SetHas implements Structures.
func (r *Redis) SetHas(ctx context.Context, key, member string) (bool, error) {
	result, err := r.ask(ctx, "read set", question(key, "SISMEMBER", member))
	if err != nil {
		return false, err
	}
	n, err := result.AsInt64()
	return n == 1, err
}

// SetAll implements Structures.
func (r *Redis) SetAll(ctx context.Context, key string) ([]string, error) {
	result, err := r.ask(ctx, "read set", question(key, "SMEMBERS"))
	if err != nil {
		return nil, err
	}
	return result.AsStrSlice()
}
