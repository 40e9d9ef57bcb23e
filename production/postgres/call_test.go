package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"kentongan/production"
)

func said(severity, code string) error {
	return fmt.Errorf("layer: %w", &pgconn.PgError{SeverityUnlocalized: severity, Code: code, Message: "said"})
}

func TestErrorsAreClassed(t *testing.T) {
	classes := []error{production.ErrNotFound, production.ErrConflict, production.ErrInvalid, production.ErrUnavailable}
	for _, c := range []struct {
		name string
		err  error
		want error // nil: none of them
	}{
		{"UniqueKey", said("ERROR", "23505"), production.ErrConflict},
		{"SecondActiveAlert", said("ERROR", "23P01"), production.ErrConflict},
		{"NULCharacter", said("ERROR", "22021"), production.ErrInvalid},
		{"DiskFull", said("ERROR", "53100"), production.ErrUnavailable},
		{"TooManyConnections", said("FATAL", "53300"), production.ErrUnavailable},
		{"TimeLimit", said("ERROR", "57014"), production.ErrUnavailable},
		{"ShutDown", said("FATAL", "57P01"), production.ErrUnavailable},
		{"InputOutput", said("ERROR", "58030"), production.ErrUnavailable},
		{"Standby", said("ERROR", "25006"), production.ErrUnavailable},
		{"LockedForTooLong", said("ERROR", "55P03"), production.ErrUnavailable},
		{"DeadlockTooOften", said("ERROR", "40P01"), production.ErrUnavailable},
		{"WrongPassword", said("FATAL", "28P01"), production.ErrUnavailable},
		{"LineCut", fmt.Errorf("layer: %w", io.ErrUnexpectedEOF), production.ErrUnavailable},
		{"TimeIsOver", context.DeadlineExceeded, production.ErrUnavailable},
		{"TableMissing", said("ERROR", "42P01"), nil},
		{"DataCorrupted", said("ERROR", "XX001"), nil},
		{"BrokenRecord", recordError{errors.New("no JSON")}, nil},
		{"Ours", fmt.Errorf("production x: %w", production.ErrNotFound), production.ErrNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := classed(c.err)
			for _, class := range classes {
				if is := errors.Is(got, class); is != errors.Is(c.want, class) {
					t.Errorf("%v: is it %q? %v", got, class, is)
				}
			}
			if !errors.Is(got, c.err) {
				t.Errorf("%v has lost its cause", got)
			}
		})
	}
}

// TestAgain has what decides between an answer and another attempt: a commit that may be stored must not be made again by itself.
func TestAgain(t *testing.T) {
	s := &Store{}
	for _, c := range []struct {
		name          string
		err           error
		before, after bool // is it made again if the error came before, or after, COMMIT was sent?
	}{
		{"LineCut", io.ErrUnexpectedEOF, true, false},
		{"Deadlock", said("ERROR", "40P01"), true, true},
		{"Serialization", said("ERROR", "40001"), true, true},
		{"ShutDown", said("FATAL", "57P01"), true, false},
		{"Crash", said("PANIC", "XX000"), false, false},
		{"TimeLimit", said("ERROR", "57014"), false, false},
		{"Conflict", said("ERROR", "23505"), false, false},
		{"OurConflict", production.ErrConflict, false, false},
		{"BrokenRecord", recordError{errors.New("no JSON")}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := s.again(c.err); got != c.before {
				t.Errorf("before COMMIT: %v, want %v", got, c.before)
			}
			if got := s.again(written(c.err)); got != c.after {
				t.Errorf("with COMMIT: %v, want %v", got, c.after)
			}
		})
	}
	if written(nil) != nil {
		t.Error("success is not an error")
	}
}

func TestWord(t *testing.T) {
	for in, want := range map[string]string{"nasi": "nasi", "": "", "a\x00b": "a\uFFFDb", "a\xffb": "a\uFFFDb"} {
		if got := word(in); got != want {
			t.Errorf("word(%q): got %q, want %q", in, got, want)
		}
		if (key(in) == nil) != (in != want) {
			t.Errorf("key(%q): got %v", in, key(in))
		}
	}
}
