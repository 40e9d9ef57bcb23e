//go:build linux

package testenv

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Room is a disk of its own that has little room.
type Room struct{ dir string }

// SmallDatabase makes an empty database that has its tables on a disk of so many MB, and returns its URL. The log of transactions is not
// there: a server ends itself without room for that.
func (s *PostgresServer) SmallDatabase(t testing.TB, megabytes string) (url string, room *Room) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kentongan-room-") //nolint:usetesting // t.TempDir is closed to all other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+megabytes+"m"); err != nil {
		t.Fatalf("mount: %v; the tests need root, as their installation does", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	tables := filepath.Join(dir, "tables")
	if err := os.Mkdir(tables, 0o700); err != nil {
		t.Fatal(err)
	}
	if attr := s.attributes(); attr != nil && attr.Credential != nil {
		if err := os.Chown(tables, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { // the server is another user, and has to get through
		t.Fatal(err)
	}
	s.Exec("CREATE TABLESPACE small LOCATION '" + tables + "'")
	s.Exec("CREATE DATABASE small TEMPLATE template0 TABLESPACE small")
	t.Cleanup(func() {
		if s.cmd != nil {
			s.Exec("DROP DATABASE small WITH (FORCE)")
			s.Exec("DROP TABLESPACE small")
		}
	})
	return s.url("small"), &Room{dir}
}

// Fill leaves no room.
func (r *Room) Fill(t testing.TB) {
	t.Helper()
	f, err := os.Create(filepath.Join(r.dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // what it could not write is what it is for
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk was not filled: %v", err)
	}
}

// Free makes room again.
func (r *Room) Free(t testing.TB) {
	t.Helper()
	if err := os.Remove(filepath.Join(r.dir, "other")); err != nil {
		t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
