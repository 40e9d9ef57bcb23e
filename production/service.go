package production

import (
	"context"
	"errors"
	"log/slog"
	"time"
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
	return &Service{store: store, opts: opts}
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

// Configure changes a kitchen's settings. version is the one that the sender has seen.
func (s *Service) Configure(ctx context.Context, r Request, k Kitchen) (Kitchen, error) {
	return Kitchen{}, errors.ErrUnsupported
}

// Put adds to a kitchen's lists, or replaces what has the same ids. It is all or nothing.
func (s *Service) Put(ctx context.Context, r Request, lists References) error {
	return errors.ErrUnsupported
}

// Looked writes down that somebody of the platform looked into a kitchen. what is a short word: board, batches, audit.
func (s *Service) Looked(ctx context.Context, r Request, what string) error {
	return errors.ErrUnsupported
}

func (s *Service) do(ctx context.Context, r Request, id string, act Act) (Result, error) {
	return Result{}, errors.ErrUnsupported
}
