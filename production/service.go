package production

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"time"

	"kentongan/tenant"
)

// Options are what a Service may be told. The zero value is ready for use.
type Options struct {
	Now   func() time.Time // nil is time.Now
	NewID func() string    // ids of new rows, unique, at most 64 of A-Z a-z 0-9 _ -; nil makes UUIDs that sort by time
	Log   *slog.Logger     // nil discards
}

// Service carries out what people ask for. Its methods may be called concurrently. Each returns a *Refusal when the rules say
// no, and ErrUnavailable, wrapped, when the store does.
//
// A change that meets another one of the same batch is decided again on the new state, unless it named the version that it
// was made for: then it is ErrConflict, once that version has passed.
type Service struct {
	store Changes
	opts  Options
	pins  pinGuard
	lanes *lanes
}

// New returns a Service that keeps everything in store.
func New(store Changes, opts Options) *Service {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.NewID == nil {
		opts.NewID = newID
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{store: store, opts: opts, lanes: newLanes()}
}

// Result is the answer to a change.
type Result struct {
	Production Production `json:"production"`         // after the change, with all fields; For strips what a role may not see
	RowID      string     `json:"rowId,omitempty"`    // of the reading, check, sample, dispatch or correction that was added
	Alert      *Alert     `json:"alert,omitempty"`    // that was acknowledged or resolved
	Warnings   []Warning  `json:"warnings,omitempty"` // what was accepted and is worth a word
	Repeated   bool       `json:"-"`                  // the key had come before: this is the first answer
}

// Warning is something that is accepted and worth a word.
type Warning string

// The warnings.
const (
	WarnOverCapacity Warning = "OVER_CAPACITY" // more portions on that day than the kitchen may make
	WarnClockOff     Warning = "CLOCK_OFF"     // the device's clock is wrong by more than MaxClockSkew
	WarnLate         Warning = "LATE"          // recorded, and too late to have an effect
)

// Create plans a new batch.
func (s *Service) Create(ctx context.Context, r Request, c Create) (Result, error) {
	return s.do(ctx, r, "", c)
}

// Update edits a PLANNED batch.
func (s *Service) Update(ctx context.Context, r Request, id string, u Update) (Result, error) {
	return s.do(ctx, r, id, u)
}

// Transition takes a batch to its next status, or back to COOKING.
func (s *Service) Transition(ctx context.Context, r Request, id string, t Transition) (Result, error) {
	return s.do(ctx, r, id, t)
}

// Work records progress, portions, waste and costs of a batch that is under way.
func (s *Service) Work(ctx context.Context, r Request, id string, w Work) (Result, error) {
	return s.do(ctx, r, id, w)
}

// Cancel ends a batch that is not final.
func (s *Service) Cancel(ctx context.Context, r Request, id string, c Cancel) (Result, error) {
	return s.do(ctx, r, id, c)
}

// Delete hides a PLANNED batch.
func (s *Service) Delete(ctx context.Context, r Request, id string) (Result, error) {
	return s.do(ctx, r, id, Delete{})
}

// Reading records a temperature.
func (s *Service) Reading(ctx context.Context, r Request, id string, a AddReading) (Result, error) {
	return s.do(ctx, r, id, a)
}

// Check records a quality check.
func (s *Service) Check(ctx context.Context, r Request, id string, a AddCheck) (Result, error) {
	return s.do(ctx, r, id, a)
}

// Sample records a retained food sample.
func (s *Service) Sample(ctx context.Context, r Request, id string, t TakeSample) (Result, error) {
	return s.do(ctx, r, id, t)
}

// Dispatch records that food leaves.
func (s *Service) Dispatch(ctx context.Context, r Request, id string, d RecordDispatch) (Result, error) {
	return s.do(ctx, r, id, d)
}

// Photo adds a photo with a note.
func (s *Service) Photo(ctx context.Context, r Request, id string, a AddPhoto) (Result, error) {
	return s.do(ctx, r, id, a)
}

// Correct adds a correction row to a final batch.
func (s *Service) Correct(ctx context.Context, r Request, id string, c Correct) (Result, error) {
	return s.do(ctx, r, id, c)
}

// Acknowledge says that somebody has seen an alert.
func (s *Service) Acknowledge(ctx context.Context, r Request, alert string) (Result, error) {
	return s.do(ctx, r, "", Acknowledge{alert})
}

// Resolve ends an alert.
func (s *Service) Resolve(ctx context.Context, r Request, alert, correctiveAction string) (Result, error) {
	return s.do(ctx, r, "", Resolve{alert, correctiveAction})
}

// maxTries bounds how often a change that meets others is decided again. Changes of one batch wait for each other within a
// process, so only other processes can come between.
const maxTries = 16

// do carries out one change: who is it, what is there, what do the rules say, store it.
func (s *Service) do(ctx context.Context, r Request, id string, act Act) (Result, error) {
	if err := r.check(); err != nil {
		return Result{}, err
	}
	actor, err := s.prove(ctx, r)
	if err != nil {
		return Result{}, err
	}
	r.Actor = actor
	c := Change{Request: r, Production: id, NewID: s.opts.NewID(), Act: act}
	mark := c.fingerprint()
	if _, ok := act.(Create); ok {
		c.Production = c.NewID
	}
	want := c.Wants()
	if want.Alert != "" {
		if want.Production, err = s.batchOf(ctx, r.Tenant, want); err != nil {
			return Result{}, err
		}
	}
	leave, err := s.lanes.enter(ctx, string(r.Tenant), want.Production)
	if err != nil {
		return Result{}, err
	}
	defer leave()
	for try := range maxTries {
		result, err := s.once(ctx, c, want, mark, try == 0)
		if !errors.Is(err, errAgain) {
			return result, err
		}
	}
	return Result{}, fmt.Errorf("%w: %d times in a row somebody else was quicker", ErrUnavailable, maxTries)
}

// errAgain says that somebody else's commit came between load and commit.
var errAgain = errors.New("decide again")

// read returns what a change has to know: if it may, what is remembered, else what is stored.
func (s *Service) read(ctx context.Context, t tenant.ID, want Want, recall bool) (Loaded, error) {
	if r, can := s.store.(Recaller); can && recall {
		if in, ok := r.Recall(t, want); ok {
			return in, nil
		}
	}
	return s.store.Load(ctx, t, want) //nolint:wrapcheck // the caller tells its errors apart
}

func (s *Service) once(ctx context.Context, c Change, want Want, mark Hash, recall bool) (Result, error) {
	now := At(s.opts.Now())
	in, err := s.read(ctx, c.Tenant, want, recall)
	if errors.Is(err, ErrNotFound) {
		return Result{}, refuse(ErrNotFound, CodeNotFound, "there is no such production in this kitchen")
	}
	if err != nil {
		return Result{}, fmt.Errorf("load production %s: %w", want.Production, err)
	}
	if in.Remembered != nil {
		return repeat(in.Remembered, mark)
	}
	d, err := Apply(in, c, now)
	if in.Recalled != 0 && (err != nil || d.Commit.Batch == nil) {
		return Result{}, errAgain // a no, or that there is nothing to do, has to be of what is stored
	}
	if err != nil {
		return Result{}, err
	}
	d.Commit.Recalled = in.Recalled
	if d.Commit.Batch == nil && d.Commit.Kitchen == nil {
		return d.Result, nil
	}
	if c.Key != "" {
		d.Commit.Remember = &Remembered{Key: c.Key, Fingerprint: mark, At: now, Result: appendJSON(nil, d.Result)}
	}
	_, err = s.store.Commit(ctx, d.Commit)
	if errors.Is(err, ErrConflict) {
		return Result{}, errAgain
	}
	if err != nil {
		return Result{}, fmt.Errorf("store production %s: %w", c.Production, err)
	}
	return d.Result, nil
}

// batchOf returns the batch that an alert belongs to; "" if it is the kitchen's, or does not exist.
func (s *Service) batchOf(ctx context.Context, t tenant.ID, want Want) (string, error) {
	in, err := s.store.Load(ctx, t, Want{Alert: want.Alert})
	if err != nil {
		return "", fmt.Errorf("load alert: %w", err)
	}
	if in.Alert == nil {
		return "", nil
	}
	return in.Alert.ProductionID, nil
}

// check refuses what no part of a change may look like.
func (r *Request) check() error {
	if !tenant.Valid(string(r.Tenant)) {
		return refuse(ErrForbidden, CodeForbidden, "the credential belongs to no kitchen")
	}
	var bad fields
	if len(r.Key) > MaxKeyBytes || strings.IndexFunc(r.Key, func(c rune) bool { return c < ' ' || c > '~' }) >= 0 {
		bad.add("Idempotency-Key", "want at most %d visible ASCII characters", MaxKeyBytes)
	}
	if r.Version < 0 {
		bad.add("version", "is %d: want the version that you have seen", r.Version)
	}
	for path, at := range map[string]Instant{"takenAt": r.TakenAt, "deviceNow": r.DeviceNow} {
		if at.Known() && (at < earliest || at >= latest) {
			bad.add(path, "want an instant between 2000 and 2100")
		}
	}
	return bad.refusal()
}

// fingerprint tells changes with the same idempotency key apart. Ids that the service makes up are no part of it.
func (c Change) fingerprint() Hash {
	text := fmt.Sprintf("%s|%s|%d|%d|%s|%s|", c.Act.verb(), c.Production, c.Version, c.TakenAt, c.Actor.User, c.Actor.Person)
	return sha256.Sum256(appendJSON([]byte(text), c.Act))
}

// repeat answers a key that has come before.
func repeat(m *Remembered, mark Hash) (Result, error) {
	if m.Fingerprint != mark {
		return Result{}, refuse(ErrKeyReused, CodeKeyReused, "this idempotency key was used for another change: take a new one for each")
	}
	var r Result
	if err := json.Unmarshal(m.Result, &r); err != nil {
		return Result{}, fmt.Errorf("read the remembered result: %w", err)
	}
	r.Repeated = true
	return r, nil
}

// lanes let changes of one batch go one after the other, so that they do not make each other decide again. Two batches may share
// a lane by chance; that costs time and nothing else.
type lanes [256]chan struct{}

func newLanes() *lanes {
	var l lanes
	for i := range l {
		l[i] = make(chan struct{}, 1)
	}
	return &l
}

// enter waits for the lane of a batch. A kitchen's new batches have one of their own: they need numbers.
func (l *lanes) enter(ctx context.Context, t, production string) (leave func(), err error) {
	h := fnv.New32a()
	h.Write([]byte(t + "|" + production))
	lane := l[h.Sum32()%uint32(len(l))]
	select {
	case lane <- struct{}{}:
		return func() { <-lane }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: wait for other changes of the batch: %w", ErrUnavailable, ctx.Err())
	}
}

// newID returns a UUID of version 7: they sort by time, which keeps indexes short.
func newID() string {
	var b [16]byte
	rand.Read(b[6:])
	binary.BigEndian.PutUint64(b[:], uint64(time.Now().UnixMilli())<<16|uint64(b[6])<<8|uint64(b[7]))
	b[6] = 0x70 | b[6]&0x0f
	b[8] = 0x80 | b[8]&0x3f
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
