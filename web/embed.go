// Package web serves the pages: the files of dist/, which are built out of live/ (the plain live view) and board/ (the board of the
// kitchen) and are part of the binary.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// "all:" takes in dist/.keep as well, without which a fresh checkout that has not built dist/ yet would not compile.
//
//go:embed all:dist
var built embed.FS

// contentSecurityPolicy allows what the pages need and nothing else: their own script, style, icon, worker and manifest, and a line to
// this host. Trusted types make the browser refuse any script that would put text into the page as markup; the one policy that there
// may be names the board's worker.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"manifest-src 'self'; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; " +
	"require-trusted-types-for 'script'; trusted-types kentongan"

// types has the media type of each sort of file that dist/ may hold. It is our own list because the system's, which the
// standard library reads, differs from machine to machine.
var types = map[string]string{
	".html":        "text/html; charset=utf-8",
	".js":          "text/javascript; charset=utf-8",
	".css":         "text/css; charset=utf-8",
	".svg":         "image/svg+xml",
	".png":         "image/png",
	".webmanifest": "application/manifest+json",
}

// notBuilt is what is shown when dist/ is empty.
const notBuilt = `The page was not built into this program. In the source tree run

    make web

and build the program again. The server itself works without the page.
`

// Options say which pages there are.
type Options struct {
	Demo  bool // the board has a switch that cuts the visitor's line; it needs the route of the demo
	Board bool // "/" is the board; it needs the production service. Without it "/" is the live view, as "/live" always is
}

// Handler returns the handler of the pages. It answers GET and HEAD of the files of dist/, of "/live", which is the live view, and of
// "/", which is the board or the live view, and 404 in words for everything else. It may be called concurrently and holds no state
// of a request.
//
// Each file has an ETag out of its content and is asked for anew each time, which is one short answer as long as
// nothing has changed: so an old script never meets a new page.
func Handler(opts Options) http.Handler {
	dist, err := fs.Sub(built, "dist")
	if err != nil {
		panic("web: " + err.Error()) // the name is a constant
	}
	return newHandler(dist, opts)
}

// newHandler is Handler for any file system, which it reads wholly once.
func newHandler(dist fs.FS, opts Options) http.Handler {
	files, err := load(dist)
	if err != nil {
		panic("web: " + err.Error()) // the files are in the binary; one that cannot be read is a mistake in the code
	}
	if opts.Demo {
		files.demonstrate()
	}
	first := "/live.html"
	if opts.Board {
		first = "/board.html"
	}
	for path, name := range map[string]string{"/": first, "/live": "/live.html"} {
		if page, ok := files[name]; ok {
			files[path] = page
		}
	}
	return &handler{files: files}
}

type handler struct {
	files fileSet // immutable
}

// file is one file in the forms in which it is sent.
type file struct {
	kind     string
	plain    []byte
	zipped   []byte // nil: not smaller
	etag     string // of plain
	zippedAs string // ETag of zipped: another representation must have another one
}

// fileSet has files by URL path, "/app.js".
type fileSet map[string]file

// demonstrate tells the board that it is one of the demo. The worker is changed with it, so that a browser that has kept the board of
// another server at this address fetches it anew.
func (f fileSet) demonstrate() {
	for path, change := range map[string][2]string{"/board.html": {"<html ", "<html data-demo "}, "/board-worker.js": {"", "/* demo */"}} {
		if old, ok := f[path]; ok {
			f[path] = newFile(old.kind, bytes.Replace(old.plain, []byte(change[0]), []byte(change[1]), 1))
		}
	}
}

func load(dist fs.FS) (fileSet, error) {
	files := fileSet{}
	err := fs.WalkDir(dist, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("walk %s: %w", name, err)
		}
		kind, known := types[path.Ext(name)]
		if entry.IsDir() || strings.HasPrefix(entry.Name(), ".") || !known {
			return nil
		}
		data, err := fs.ReadFile(dist, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		files["/"+name] = newFile(kind, data)
		return nil
	})
	return files, err
}

func newFile(kind string, data []byte) file {
	sum := sha256.Sum256(data)
	tag := base64.RawURLEncoding.EncodeToString(sum[:12])
	f := file{kind: kind, plain: data, etag: `"` + tag + `"`, zippedAs: `"` + tag + `-gz"`}
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		panic("web: " + err.Error()) // the level is a constant
	}
	_, _ = w.Write(data) // a bytes.Buffer takes everything
	_ = w.Close()
	if zipped.Len() < len(data) {
		f.zipped = zipped.Bytes()
	}
	return f
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		say(w, http.StatusMethodNotAllowed, "Only GET and HEAD work here.\n")
		return
	}
	f, ok := h.files[r.URL.Path]
	switch {
	case ok:
		f.serve(w, r)
	case len(h.files) == 0 && r.URL.Path == "/":
		say(w, http.StatusServiceUnavailable, notBuilt)
	default:
		say(w, http.StatusNotFound, "Halaman ini tidak ada. Mulailah dari /\nThere is no such page. Begin at /\n")
	}
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", f.kind)
	header.Set("Cache-Control", "no-cache")
	body, etag := f.plain, f.etag
	if f.zipped != nil {
		header.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			body, etag = f.zipped, f.zippedAs
			header.Set("Content-Encoding", "gzip")
		}
	}
	header.Set("ETag", etag)
	// ServeContent answers If-None-Match, Range and HEAD. It has no time to go by: the ETag says all.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// secure sets what holds for every answer of the page, the errors too.
func secure(header http.Header) {
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // net/http drops the body of an answer to HEAD; a client that has gone is no error of ours
}

// acceptsGzip reports whether a client takes gzip: it names it, or "*", and not with the weight 0.
func acceptsGzip(values []string) bool {
	accepted := false
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		coding, params, _ := strings.Cut(part, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding != "gzip" && coding != "*" {
			continue
		}
		name, weight, _ := strings.Cut(strings.TrimSpace(params), "=")
		q, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
		refused := strings.EqualFold(strings.TrimSpace(name), "q") && (err != nil || q <= 0)
		if coding == "gzip" {
			return !refused // what is named outweighs "*"
		}
		accepted = !refused
	}
	return accepted
}
