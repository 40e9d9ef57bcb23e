package shared

import (
	"context"
	"crypto/sha1" //nolint:gosec // it is how Redis names scripts
	_ "embed"     // the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// The names of what is not an entry and not read by the app.
const (
	nodesKey    = "kentongan:cache:nodes"
	choresKey   = "kentongan:cache:chores"
	fencePrefix = "kentongan:cache:fence:"
	ackPrefix   = "kentongan:cache:acks:"
	gonePrefix  = "kentongan:cache:gone:"
)

// largeBytes is from which size a value goes over a connection of its own: others would wait behind it.
const largeBytes = 64 << 10

var (
	//go:embed swap.lua
	swapText string
	//go:embed epochs.lua
	epochsText string
	//go:embed bump.lua
	bumpText string
	//go:embed release.lua
	releaseText string
	//go:embed drop.lua
	dropText string
	//go:embed forget.lua
	forgetText string
	//go:embed fence.lua
	fenceText string
	//go:embed await.lua
	awaitText string
	//go:embed claim.lua
	claimText string
)

func newScript(text string) *script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // it is how Redis names scripts
	return &script{text, hex.EncodeToString(sum[:])}
}

var (
	swapScript    = newScript(swapText)
	epochsScript  = newScript(epochsText)
	bumpScript    = newScript(bumpText)
	releaseScript = newScript(releaseText)
	dropScript    = newScript(dropText)
	forgetScript  = newScript(forgetText)
	fenceScript   = newScript(fenceText)
	awaitScript   = newScript(awaitText)
	claimScript   = newScript(claimText)
)

// Redis is the tier over Redis 7 or later, or Valkey. It has three connections: one for commands, one that hears of changes, and one
// for large values.
type Redis struct {
	opts     Options
	node     string
	commands *connection
	large    *connection
	hearing  *connection
	listener Listener
	acks     chan string // fences that this node has passed
	answer   sync.Once   // starts who writes them
	stop     chan struct{}
	stopped  chan struct{}
}

var _ Tier = (*Redis)(nil)

// NewRedis returns the tier. It connects when it is first used.
func NewRedis(o Options) (*Redis, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	o.Prefixes = append(slices.Clip(o.Prefixes), fencePrefix)
	r := &Redis{opts: o, node: NewToken(), acks: make(chan string, 64), stop: make(chan struct{}), stopped: make(chan struct{})}
	r.commands = newConnection(&r.opts, "commands", nil)
	r.large = newConnection(&r.opts, "large", nil)
	r.hearing = newConnection(&r.opts, "hearing", r.changed)
	return r, nil
}

// Close implements Tier.
func (r *Redis) Close() {
	close(r.stop)
	r.answer.Do(func() { close(r.stopped) }) // nobody writes, and nobody will
	<-r.stopped
	r.commands.close()
	r.large.close()
	r.hearing.close()
}

// call builds the call of a script. In a Cluster the first key says which node it is for.
func call(c rueidis.Client, s *script, keys, args []string) rueidis.Completed {
	return c.B().Evalsha().Sha1(s.sha).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
}

// step is one command of a batch: a script, or words.
type step struct {
	script *script
	keys   []string
	args   []string
	read   bool // words: it only reads, and may be repeated
	kinds  bool // that something of another kind is under the name is an answer, and no error
}

// do sends steps in one round trip and returns their answers. Scripts that Redis does not know are told to it, and those calls
// repeated: they have done nothing.
func (r *Redis) do(ctx context.Context, conn *connection, steps ...step) ([]rueidis.RedisResult, error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.CommandTimeout)
	defer cancel()
	c, err := conn.get(ctx)
	if err != nil {
		return nil, explain(err)
	}
	build := func(s step) rueidis.Completed {
		if s.script != nil {
			return call(c, s.script, s.keys, s.args)
		}
		a := c.B().Arbitrary(s.args[0])
		if len(s.keys) > 0 {
			a = a.Keys(s.keys...)
		}
		if a = a.Args(s.args[1:]...); s.read {
			return a.ReadOnly()
		}
		return a.Build()
	}
	var results []rueidis.RedisResult
	if len(steps) == 1 {
		results = []rueidis.RedisResult{c.Do(ctx, build(steps[0]))}
	} else {
		commands := make([]rueidis.Completed, len(steps))
		for i, s := range steps {
			commands[i] = build(s)
		}
		results = c.DoMulti(ctx, commands...)
	}
	for i := range results {
		if said, ok := rueidis.IsRedisErr(results[i].Error()); ok && said.IsNoScript() {
			s := steps[i] //nolint:gosec // there is a result for each
			eval := c.B().Eval().Script(s.script.text).Numkeys(int64(len(s.keys))).Key(s.keys...).Arg(s.args...).Build()
			results[i] = c.Do(ctx, eval)
		}
		if err := results[i].Error(); err != nil && !rueidis.IsRedisNil(err) {
			if err = explain(err); steps[i].kinds && errors.Is(err, ErrKind) { //nolint:gosec // as above
				continue
			}
			return nil, err
		}
	}
	return results, nil
}

// explain keeps the text of what Redis refused out of errors where it may quote what was sent.
func explain(err error) error {
	if err == nil {
		return nil
	}
	if said, ok := rueidis.IsRedisErr(err); ok {
		text := said.Error()
		if strings.Contains(text, "WRONGTYPE") { // also in what a script says
			return ErrKind
		}
		if err := ofCluster(text); err != nil {
			return err
		}
		if len(text) > 120 {
			text = text[:120] + "…"
		}
		return errors.New("redis refuses: " + text)
	}
	return err
}

// ofCluster says in words what a node of a Cluster means with text, if it is that the keys are not there, or not all of them. The library
// follows single keys to where they are; what comes through is about several, or a Cluster whose nodes do not agree.
func ofCluster(text string) error {
	switch word, _, _ := strings.Cut(text, " "); {
	case word == "MOVED", word == "ASK", word == "TRYAGAIN", strings.Contains(text, "access a non local key in a cluster node"):
		return errors.New("its slot of the Cluster is being moved to another node; it goes on when that is done")
	case word == "CLUSTERDOWN", strings.Contains(text, "while the cluster is down"):
		return errors.New("the Cluster is not well: the slot has no node, or most of its nodes do not answer")
	}
	return nil
}

// Read implements Tier.
func (r *Redis) Read(ctx context.Context, keys, hashes []string) ([]string, []Epochs, error) {
	if len(keys) == 1 && len(hashes) == 0 {
		v, err := r.readOne(ctx, keys[0])
		return []string{v}, nil, err
	}
	steps := make([]step, 0, len(keys)+len(hashes))
	for _, h := range hashes {
		steps = append(steps, step{script: epochsScript, keys: []string{h}})
	}
	for _, k := range keys {
		steps = append(steps, step{keys: []string{k}, args: []string{"GET"}, read: true, kinds: true})
	}
	if len(steps) == 0 {
		return nil, nil, nil
	}
	results, err := r.do(ctx, r.commands, steps...)
	if err != nil {
		return nil, nil, fmt.Errorf("read: %w", err)
	}
	tables := make([]Epochs, len(hashes))
	for i := range hashes {
		if tables[i], err = readEpochs(results[i]); err != nil {
			return nil, nil, fmt.Errorf("read epochs: %w", err)
		}
	}
	values := make([]string, len(keys))
	for i := range keys {
		if values[i], err = valueOf(results[len(hashes)+i]); err != nil {
			return nil, nil, err
		}
	}
	return values, tables, nil
}

// readOne is Read of one key, which is the way of most hits: it makes no list of steps.
func (r *Redis) readOne(ctx context.Context, key string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.CommandTimeout)
	defer cancel()
	c, err := r.commands.get(ctx)
	if err != nil {
		return "", fmt.Errorf("read: %w", explain(err))
	}
	return valueOf(c.Do(ctx, c.B().Get().Key(key).Build()))
}

// valueOf returns what is under a key: empty if there is nothing, OtherKind if it is no text.
func valueOf(r rueidis.RedisResult) (string, error) {
	v, err := r.ToString()
	switch {
	case err == nil:
		return v, nil
	case rueidis.IsRedisNil(err):
		return "", nil
	}
	if err = explain(err); errors.Is(err, ErrKind) {
		return OtherKind, nil
	}
	return "", fmt.Errorf("read: %w", err)
}

// foreignEpoch stands for what somebody else wrote in the place of a number. No entry that was loaded before has it.
const foreignEpoch = -1

func readEpochs(r rueidis.RedisResult) (Epochs, error) {
	pairs, err := r.AsStrMap()
	if err != nil {
		return nil, err
	}
	e := make(Epochs, len(pairs))
	for field, text := range pairs {
		if field == "@run" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			n = foreignEpoch
		}
		e[field] = n
	}
	return e, nil
}

// sampledNames is how many names of a set each write looks at. While writes go on, each adds at most one name that will be dead and
// removes 5·d of those that are, d being their share: so d settles at a fifth, however long a tag lives.
const sampledNames = "5"

// Swap implements Tier.
func (r *Redis) Swap(ctx context.Context, s Swap) (Swapped, error) {
	expect := s.Expect
	if s.Any {
		expect = Star
	}
	keys := []string{s.Key}
	if !r.opts.Cluster {
		keys = append(keys, s.TagSets...)
	}
	conn := r.commands
	if len(s.Value) > largeBytes {
		conn = r.large
	}
	results, err := r.do(ctx, conn, step{script: swapScript, keys: keys, args: []string{
		expect, s.Value, s.Token, millis(s.TTL), pad(s.Version), strconv.FormatInt(int64(s.TagTTL/time.Second), 10), sampledNames,
	}})
	if err != nil {
		return Swapped{}, fmt.Errorf("swap: %w", err)
	}
	a, err := results[0].ToArray()
	if err != nil || len(a) != 6 {
		return Swapped{}, fmt.Errorf("swap: %w: an answer of %d parts", errors.Join(err), len(a))
	}
	var out Swapped
	done, _ := a[0].AsInt64() // as the script makes them
	outdated, _ := a[1].AsInt64()
	out.Done, out.Outdated = done == 1, outdated == 1
	out.Current, _ = a[2].ToString()
	out.Now, _ = a[3].AsInt64()
	sampled, _ := a[4].AsInt64()
	dead, _ := a[5].AsInt64()
	out.Sampled, out.Dead = int(sampled), int(dead)
	return out, nil
}

func millis(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }

// Release implements Tier.
func (r *Redis) Release(ctx context.Context, key, lease string) error {
	if _, err := r.do(ctx, r.commands, step{script: releaseScript, keys: []string{key}, args: []string{lease}}); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}

// Drop implements Tier.
func (r *Redis) Drop(ctx context.Context, d Drop) error {
	keys := []string{d.Key}
	if d.Again > 0 && !r.opts.Cluster {
		keys = append(keys, gonePrefix+d.Key, choresKey)
	}
	_, err := r.do(ctx, r.commands, r.noted(d.Note, step{script: dropScript, keys: keys, args: []string{
		strconv.FormatInt(d.Again.Microseconds(), 10), millis(3 * d.Again),
	}})...)
	if err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	return nil
}

// Forget implements Tier.
func (r *Redis) Forget(ctx context.Context, f Forget) error {
	keys := []string{f.Key}
	if f.Again > 0 && !r.opts.Cluster {
		keys = append(keys, gonePrefix+f.Key, choresKey)
	}
	_, err := r.do(ctx, r.commands, r.noted(f.Note, step{script: forgetScript, keys: keys, args: []string{
		pad(f.Version), millis(f.TTL), strconv.FormatInt(f.Again.Microseconds(), 10), millis(3 * f.Again),
	}})...)
	if err != nil {
		return fmt.Errorf("forget: %w", err)
	}
	return nil
}

// maxAtOnce is up to how many entries of a tag are removed within the invalidation. Five hundred take a quarter of a millisecond.
const maxAtOnce = 500

// keptFields is how long the epoch of a tag is kept: an hour longer than any entry.
const keptFields = 7*24*time.Hour + time.Hour

// Bump implements Tier.
func (r *Redis) Bump(ctx context.Context, b Bump) (Bumped, error) {
	keys := []string{b.Hash}
	if !r.opts.Cluster {
		keys = append(keys, b.TagSet, choresKey)
	}
	results, err := r.do(ctx, r.commands, r.noted(b.Note, step{script: bumpScript, keys: keys, args: []string{
		b.Field, NewToken(), b.Prefix, strconv.Itoa(r.opts.MaxFields), strconv.FormatInt(keptFields.Microseconds(), 10),
		strconv.Itoa(maxAtOnce),
	}})...)
	if err != nil {
		return Bumped{}, fmt.Errorf("bump: %w", err)
	}
	a, err := results[0].ToArray()
	if err != nil || len(a) != 2 {
		return Bumped{}, fmt.Errorf("bump: %w: an answer of %d parts", errors.Join(err), len(a))
	}
	number, err := a[0].AsInt64()
	folded, _ := a[1].AsInt64() // as the script makes it
	return Bumped{number, folded == 1}, err
}

// noted adds the record of an invalidation, in the same round trip.
func (r *Redis) noted(n Note, first step) []step {
	if n.Stream == "" {
		return []step{first}
	}
	return []step{
		first,
		{keys: []string{n.Stream}, args: []string{"XADD", "MAXLEN", "~", "200", "*", "what", n.What, "name", n.Name, "node", r.node}},
		{keys: []string{n.Stream}, args: []string{"EXPIRE", "691200"}},
	}
}

// DroppedAt implements Tier.
func (r *Redis) DroppedAt(ctx context.Context, key string) (int64, error) {
	results, err := r.do(ctx, r.commands, step{keys: []string{gonePrefix + key}, args: []string{"GET"}, read: true})
	if err != nil {
		return 0, fmt.Errorf("read when an entry was dropped: %w", err)
	}
	n, err := results[0].AsInt64()
	if rueidis.IsRedisNil(err) {
		return 0, nil
	}
	return n, err
}

// Claim implements Tier.
func (r *Redis) Claim(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	results, err := r.do(ctx, r.commands, step{keys: []string{key}, args: []string{"SET", "1", "NX", "PX", millis(ttl)}})
	if err != nil {
		return false, fmt.Errorf("claim: %w", err)
	}
	return !rueidis.IsRedisNil(results[0].Error()), nil
}

// Touch implements Tier.
func (r *Redis) Touch(ctx context.Context, hashes []string) error {
	steps := make([]step, len(hashes))
	for i, h := range hashes {
		steps[i] = step{keys: []string{h}, args: []string{"TOUCH"}, read: true}
	}
	if len(steps) == 0 {
		return nil
	}
	_, err := r.do(ctx, r.commands, steps...)
	return err
}

// Record implements Tier.
func (r *Redis) Record(ctx context.Context, stream string) ([]Invalidated, error) {
	results, err := r.do(ctx, r.commands, step{keys: []string{stream}, args: []string{"XREVRANGE", "+", "-", "COUNT", "200"}, read: true})
	if err != nil {
		return nil, fmt.Errorf("read the record: %w", err)
	}
	entries, err := results[0].AsXRange()
	if err != nil {
		return nil, fmt.Errorf("read the record: %w", err)
	}
	out := make([]Invalidated, len(entries))
	for i, e := range entries {
		ms, _, _ := strings.Cut(e.ID, "-")
		n, err := strconv.ParseInt(ms, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read the record: an entry is called %q", e.ID)
		}
		out[i] = Invalidated{time.UnixMilli(n).UTC(), e.FieldValues["what"], e.FieldValues["name"], e.FieldValues["node"]}
	}
	return out, nil
}
