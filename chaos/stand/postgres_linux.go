package stand

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"kentongan/internal/process"
)

// Postgres is one PostgreSQL that keeps its address and its data when it is started again. It writes to the disk as one in use does.
// Its methods are for one goroutine.
type Postgres struct {
	URL string // of its only database

	dir   string
	port  string
	log   *os.File
	attr  *syscall.SysProcAttr // it refuses to run as root
	child *process.Child
}

// NewPostgres makes an empty one, which was not started yet. Its log is called postgres in dir; its data are in a folder apart, which
// its own user can come to, and gone after Close.
func NewPostgres(dir string) (*Postgres, error) {
	p := &Postgres{}
	fail := func(err error) (*Postgres, error) {
		_ = os.RemoveAll(p.dir)
		return nil, fmt.Errorf("make postgres: %w", err)
	}
	initdb, err := postgresProgram("initdb")
	if err != nil {
		return fail(err)
	}
	if p.dir, err = os.MkdirTemp("", "kentongan-postgres-"); err != nil {
		return fail(err)
	}
	password, secret := rand.Text(), filepath.Join(p.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		return fail(err)
	}
	if err := p.give(secret); err != nil {
		return fail(err)
	}
	cmd := exec.Command(initdb, "--pgdata", p.data(), "--username", "chaos", "--pwfile", secret, //nolint:gosec,noctx // takes a second
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync")
	cmd.Dir, cmd.SysProcAttr = p.dir, p.attr
	if said, err := cmd.CombinedOutput(); err != nil {
		return fail(fmt.Errorf("initdb: %w\n%s", err, said))
	}
	address := process.FreeAddresses(1)[0]
	if _, p.port, err = net.SplitHostPort(address); err != nil {
		return fail(err)
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("chaos", password), Host: address, Path: "postgres", RawQuery: "sslmode=disable",
	}
	p.URL = u.String()
	log := filepath.Join(dir, "postgres.log")
	if p.log, err = os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil { //nolint:gosec // our folder
		return fail(err)
	}
	return p, nil
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

// give lets the user of the package have the folder and a file in it, if we are root.
func (p *Postgres) give(file string) error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("it does not run as root: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	p.attr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return errors.Join(err1, err2, os.Chown(p.dir, int(uid), int(gid)), os.Chown(file, int(uid), int(gid)))
}

// postgresProgram returns the path of a program of the newest PostgreSQL: Debian keeps those of servers out of PATH.
func postgresProgram(name string) (string, error) {
	newest, found := 0, ""
	paths, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil {
		return "", fmt.Errorf("look for %s: %w", name, err)
	}
	for _, path := range paths {
		if version, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))); err == nil && version > newest {
			newest, found = version, path
		}
	}
	if found != "" {
		return found, nil
	}
	if found, err = exec.LookPath(name); err != nil {
		return "", errors.New("PostgreSQL is not installed: install it (make programs)")
	}
	return found, nil
}

// Start starts it and waits until it serves.
func (p *Postgres) Start(ctx context.Context) error {
	path, err := postgresProgram("postgres")
	if err != nil {
		return err
	}
	cmd := exec.Command(path, "-D", p.data(), "-p", p.port, //nolint:gosec,noctx // our own arguments; Close ends it
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "shared_buffers=64MB")
	cmd.Dir, cmd.Stderr, cmd.Stdout = p.dir, p.log, p.log
	if p.attr != nil {
		attr := *p.attr
		cmd.SysProcAttr = &attr
	}
	child, err := process.Start(cmd)
	if err != nil {
		return err
	}
	p.child = child
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, p.URL)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-child.Done():
			return fmt.Errorf("postgres ended (%s): %w", p.log.Name(), child.Err())
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends it in order, without waiting for its clients, as an upgrade of the package does.
func (p *Postgres) Stop() {
	const patience = 10 * time.Second
	p.child.Signal(syscall.SIGINT)
	select {
	case <-p.child.Done():
	case <-time.After(patience):
		p.child.Kill()
	}
}

// Close ends it, if it was started, closes its log and removes its data.
func (p *Postgres) Close() {
	if p.child != nil {
		p.Stop()
	}
	_ = p.log.Close()
	_ = os.RemoveAll(p.dir)
}
