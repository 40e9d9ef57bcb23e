package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// Status is how certificates stand.
type Status struct {
	Names     []string  // for which there is one
	Expires   time.Time // the first of them; zero: there is none
	Reloads   uint64    // times that other ones were taken into use
	Failures  uint64    // times that this was tried in vain
	LastError error     // of the last try; nil: it was well
}

// lookEvery is how often the files are looked at: two calls of the kernel, and nobody waits for a new certificate by the second.
const lookEvery = 10 * time.Second

// Files are a certificate and its key in two files. When they are replaced, the new pair is used for new connections; a pair that does
// not fit leaves the old one in use. They are looked at by modification time, size and inode, so that a link that points elsewhere is
// seen, too, which is how Kubernetes replaces a secret. It may be used by many at once.
type Files struct {
	cert, key string
	log       *slog.Logger

	current           atomic.Pointer[tls.Certificate]
	reloads, failures atomic.Uint64
	lastError         atomic.Pointer[error]

	seen [2]os.FileInfo // of the last look; only Look uses it
}

// OpenFiles reads a pair. log may be nil.
func OpenFiles(cert, key string, log *slog.Logger) (*Files, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &Files{cert: cert, key: key, log: log}
	f.seen = f.stat()
	pair, err := f.read()
	if err != nil {
		return nil, err
	}
	f.current.Store(pair)
	return f, nil
}

func (f *Files) read() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate %s: %w", f.cert, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fmt.Errorf("TLS certificate %s: %w", f.cert, err)
		}
	}
	return &pair, nil
}

func (f *Files) stat() (infos [2]os.FileInfo) {
	for i, path := range []string{f.cert, f.key} {
		infos[i], _ = os.Stat(path) // of a file that is missing, for a moment, nil
	}
	return infos
}

// same reports whether two looks at a file saw the same.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// Certificate implements tls.Config.GetCertificate.
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current.Load(), nil
}

// Run looks at the files until ctx ends.
func (f *Files) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.Look()
		}
	}
}

// Look takes a pair into use that has replaced the last one. One goroutine at a time may call it.
func (f *Files) Look() {
	now := f.stat()
	if same(now[0], f.seen[0]) && same(now[1], f.seen[1]) {
		return
	}
	f.seen = now
	pair, err := f.read()
	if err != nil {
		f.failures.Add(1)
		f.lastError.Store(&err)
		f.log.Error("new certificate refused: the old one stays in use", "err", err, "expires", f.current.Load().Leaf.NotAfter)
		return
	}
	f.current.Store(pair)
	f.reloads.Add(1)
	f.lastError.Store(nil)
	f.log.Info("new certificate in use", "names", names(pair.Leaf), "expires", pair.Leaf.NotAfter)
}

// Status tells how the pair in use stands.
func (f *Files) Status() Status {
	leaf := f.current.Load().Leaf
	st := Status{Names: names(leaf), Expires: leaf.NotAfter, Reloads: f.reloads.Load(), Failures: f.failures.Load()}
	if err := f.lastError.Load(); err != nil {
		st.LastError = *err
	}
	return st
}

// names are those that a certificate is for.
func names(leaf *x509.Certificate) []string {
	all := append([]string{}, leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}
