package certs_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"kentongan/internal/certs"
	"kentongan/internal/testenv"
)

// write writes a new pair for name into dir, which expires in so long.
func write(t *testing.T, dir, name string, life time.Duration) {
	t.Helper()
	testenv.CertificateFiles(t, dir, time.Now().Add(life), name)
}

func open(t *testing.T, dir string) *certs.Files {
	t.Helper()
	f, err := certs.OpenFiles(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func want(t *testing.T, f *certs.Files, name string, reloads, failures uint64) {
	t.Helper()
	st := f.Status()
	if len(st.Names) != 1 || st.Names[0] != name || st.Reloads != reloads || st.Failures != failures || (st.LastError != nil) != (failures > reloads) {
		t.Errorf("status %+v, want %s, %d reloads, %d failures", st, name, reloads, failures)
	}
	if pair, err := f.Certificate(nil); err != nil || pair.Leaf.DNSNames[0] != name {
		t.Errorf("serves the certificate of %v (%v), want that of %s", pair.Leaf.DNSNames, err, name)
	}
}

func TestFilesAreReplaced(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "one.example", time.Hour)
	f := open(t, dir)
	want(t, f, "one.example", 0, 0)
	f.Look()
	want(t, f, "one.example", 0, 0)

	if err := os.WriteFile(filepath.Join(dir, "tls.crt"), []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.Look()
	want(t, f, "one.example", 0, 1)
	f.Look() // a broken pair is told once
	want(t, f, "one.example", 0, 1)

	if err := os.Remove(filepath.Join(dir, "tls.key")); err != nil {
		t.Fatal(err)
	}
	f.Look()
	want(t, f, "one.example", 0, 2)

	write(t, dir, "two.example", 2*time.Hour)
	f.Look()
	if st := f.Status(); st.Names[0] != "two.example" || st.LastError != nil || time.Until(st.Expires) < time.Hour {
		t.Errorf("after a good pair the status is %+v", st)
	}
}

// TestLinksAreFollowed replaces a secret as Kubernetes does: by a link that points to another directory.
func TestLinksAreFollowed(t *testing.T) {
	dir, one, two := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, one, "one.example", time.Hour)
	write(t, two, "two.example", time.Hour)
	link := filepath.Join(dir, "now")
	if err := os.Symlink(one, link); err != nil {
		t.Fatal(err)
	}
	f := open(t, link)
	want(t, f, "one.example", 0, 0)
	if err := os.Symlink(two, link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
	f.Look()
	want(t, f, "two.example", 1, 0)
}

func TestPairsThatDoNotFitAreRefused(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	write(t, one, "one.example", time.Hour)
	write(t, two, "two.example", time.Hour)
	if _, err := certs.OpenFiles(filepath.Join(one, "tls.crt"), filepath.Join(two, "tls.key"), nil); err == nil {
		t.Error("a key of another certificate is taken")
	}
	if _, err := certs.OpenFiles(filepath.Join(one, "nothing"), filepath.Join(one, "tls.key"), nil); err == nil {
		t.Error("a file that is not there is taken")
	}
}
