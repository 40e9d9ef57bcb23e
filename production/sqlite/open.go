package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"modernc.org/sqlite"
)

// creating guards the making of files. Closing any descriptor of a file drops the locks that SQLite has on it in this process, so
// nobody may open the file between its making and that close.
var creating sync.Mutex

// create makes the file if it is not there, readable by its owner only: the hashes of PINs are in it.
func create(path string) error {
	if path == "" {
		return errors.New("no path: want the path of a file, such as kentongan.db")
	}
	creating.Lock()
	defer creating.Unlock()
	switch info, err := os.Stat(path); {
	case err == nil && !info.Mode().IsRegular():
		return errors.New("it is not a file: want the path of a file")
	case err == nil && info.Size() > 0 && info.Size() < 512: // less than the smallest page; SQLite would write over it
		return errors.New("the file is no SQLite database: give another path, or move it away")
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no folder %s: make it, or give another path", dir)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the path is the operator's
	if err != nil {
		return fmt.Errorf("the file cannot be made: %w", err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	return syncFolder(dir)
}

// syncFolder makes the name of a new file survive a power loss.
func syncFolder(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // as above
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// connect returns a pool of exactly n connections, which are never renewed.
func connect(o Options, n int, pragma string) *sql.DB {
	abs, err := filepath.Abs(o.Path)
	if err != nil { // the working directory is gone; a relative path still means the same
		abs = o.Path
	}
	q := url.Values{"mode": {"rw"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", o.BusyTimeout.Milliseconds()),
		"foreign_keys(1)",
		"synchronous(FULL)", // what was acknowledged survives a power loss
		"temp_store(MEMORY)",
		"journal_size_limit(67108864)", // after a burst the log shrinks to 64 MB
		"cell_size_check(1)",           // a damaged page is an error and not an odd answer
		"trusted_schema(0)",            // nothing in the file may call functions by itself
	}}
	if pragma != "" {
		q.Add("_pragma", pragma)
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		panic("sqlite: " + err.Error()) // the driver is linked in
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db
}

// conn is one connection with its prepared statements. One goroutine uses it at a time.
type conn struct {
	*sql.Conn
	prepared map[string]*sql.Stmt // by their text. All texts are in this package: filters make some hundreds at most
	acts     map[string]act       // of exec, likewise
}

// act is a prepared statement of the driver itself. What database/sql does around one takes as long as binding and carrying out a small
// insert.
type act interface {
	driver.Stmt
	driver.StmtExecContext
}

func take(ctx context.Context, db *sql.DB) (*conn, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, prepared: map[string]*sql.Stmt{}, acts: map[string]act{}}, nil
}

// Close closes the statements, too: database/sql does not, and SQLite keeps a file open as long as there is one.
func (c *conn) Close() error {
	var failed error
	for _, s := range c.prepared {
		failed = errors.Join(failed, s.Close())
	}
	if len(c.acts) > 0 {
		failed = errors.Join(failed, c.Raw(func(any) (err error) {
			for _, s := range c.acts {
				err = errors.Join(err, s.Close())
			}
			return err
		}))
	}
	return errors.Join(failed, c.Conn.Close())
}

// unknown are the contents of a file that cannot be told.
const unknown = 0

// contents returns a number that changes with what is in the file, as far as this connection has seen it.
func (c *conn) contents() (n uint32) {
	err := c.Raw(func(raw any) (err error) {
		file, ok := raw.(sqlite.FileControl)
		if !ok {
			return errDriver
		}
		n, err = file.FileControlDataVersion("main")
		return err
	})
	if err != nil {
		return unknown
	}
	return n
}

func (c *conn) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if s := c.prepared[text]; s != nil {
		return s, nil
	}
	s, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	c.prepared[text] = s
	return s, nil
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(ctx context.Context, text string, args ...any) (changed int64, err error) {
	bound := make([]driver.NamedValue, len(args))
	for i, v := range args {
		bound[i].Ordinal = i + 1
		if bound[i].Value, err = driver.DefaultParameterConverter.ConvertValue(v); err != nil {
			return 0, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	err = c.Raw(func(raw any) (err error) {
		s := c.acts[text]
		if s == nil {
			if s, err = prepare(ctx, raw, text); err != nil {
				return err
			}
			c.acts[text] = s
		}
		r, err := s.ExecContext(ctx, bound)
		if err != nil {
			return err
		}
		changed, err = r.RowsAffected()
		return err
	})
	return changed, err
}

// prepare has the driver's connection raw prepare an act.
func prepare(ctx context.Context, raw any, text string) (act, error) {
	c, ok := raw.(driver.ConnPrepareContext)
	if !ok {
		return nil, errDriver
	}
	s, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	a, ok := s.(act)
	if !ok {
		return nil, errors.Join(errDriver, s.Close())
	}
	return a, nil
}

var errDriver = errors.New("the driver of SQLite lacks what it had")

// one scans the only row of an answer into dest. It returns sql.ErrNoRows if there is none.
func (c *conn) one(ctx context.Context, text string, args []any, dest ...any) error {
	s, err := c.stmt(ctx, text)
	if err != nil {
		return err
	}
	return s.QueryRowContext(ctx, args...).Scan(dest...)
}

// each calls f for each row of an answer.
func (c *conn) each(ctx context.Context, text string, args []any, f func(*sql.Rows) error) error {
	s, err := c.stmt(ctx, text)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := f(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}
