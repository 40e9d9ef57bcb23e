package sqlite_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// TestPowerLoss writes down what SQLite does to its files, and then makes of it what a disk may hold when the power fails: all that
// was synced, and of what was not anything, in parts, or torn in the middle of a write. From each such disk the store must open
// with every commit that was acknowledged by then, and each commit wholly or not at all.
func TestPowerLoss(t *testing.T) {
	d := record(t)
	s := open(t, filepath.Join(d.dir, "k.db"))
	type ack struct {
		id       string
		revision int64
		ops      int // how much the disk had been told by then
	}
	var mu sync.Mutex
	var acks []ack
	ctx, stop := context.WithCancel(t.Context())
	err := work(ctx, s, 0, 4, func(id string, revision int64) {
		mu.Lock()
		defer mu.Unlock()
		acks = append(acks, ack{id, revision, d.count()})
		if len(acks) == 200 { // more than 2 checkpoints
			stop()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ops := d.stop()
	if n := bytes.Count(kinds(ops), []byte{'s'}); n < 50 {
		t.Fatalf("%d syncs of %d operations: this is not the disk", n, len(ops))
	}
	for range faults(t, 6) {
		at, seed := rand.IntN(len(ops)+1), rand.Uint64()
		acked := acknowledged{}
		for _, a := range acks {
			if a.ops <= at {
				acked[a.id] = max(acked[a.id], a.revision)
			}
		}
		dir := t.TempDir()
		crashed(t, ops[:at], rand.New(rand.NewPCG(seed, 0)), dir)
		verify(t, filepath.Join(dir, "k.db"), acked)
		if t.Failed() {
			t.Fatalf("after %d of %d operations, seed %d", at, len(ops), seed)
		}
		if err := os.RemoveAll(dir); err != nil { // they are many
			t.Fatal(err)
		}
	}
}

// op is something that the disk was told: 'w' to write data at off, 't' to cut a file to off bytes, 's' to sync it, 'd' to delete it.
type op struct {
	kind byte
	file string
	off  int64
	data []byte
}

func kinds(ops []op) []byte {
	var list []byte
	for i := range ops {
		list = append(list, ops[i].kind)
	}
	return list
}

// crashed writes into dir what may be left of the files after ops, if the power fails then.
func crashed(t *testing.T, ops []op, dice *rand.Rand, dir string) {
	t.Helper()
	type file struct {
		durable []byte
		there   bool // its name is
		pending []op
	}
	files := map[string]*file{"k.db": {there: true}} // the store syncs the folder when it has made it
	for _, o := range ops {
		f := files[o.file]
		if f == nil {
			f = &file{}
			files[o.file] = f
		}
		switch o.kind {
		case 's': // SQLite syncs the folder of a new journal with its first sync
			for _, p := range f.pending {
				f.durable = apply(f.durable, p)
			}
			f.pending, f.there = nil, true
		case 'd': // it syncs the folder at once
			*f = file{}
		default:
			f.pending = append(f.pending, o)
		}
	}
	mode := dice.IntN(3) // nothing, all, or some of what was not synced
	for name, f := range files {
		for _, p := range f.pending {
			if mode == 0 || mode == 2 && dice.IntN(2) == 0 {
				continue
			}
			f.there = true
			if mode == 2 && p.kind == 'w' && dice.IntN(4) == 0 {
				p.data = p.data[:dice.IntN(len(p.data)/512+1)*512] // torn between two sectors
			}
			f.durable = apply(f.durable, p)
		}
		if f.there {
			if err := os.WriteFile(filepath.Join(dir, name), f.durable, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func apply(content []byte, o op) []byte {
	end := o.off + int64(len(o.data))
	if o.kind == 't' {
		end = o.off
	}
	if grow := end - int64(len(content)); grow > 0 {
		content = append(content, make([]byte, grow)...)
	}
	if o.kind == 't' {
		return content[:end]
	}
	copy(content[o.off:], o.data)
	return content
}

// disk is a layer below SQLite that passes everything on to the real one, and writes down what concerns the files in dir.
type disk struct {
	dir  string
	real *lib.Tsqlite3_vfs
	mine uintptr
	tls  *libc.TLS

	mu    sync.Mutex
	ops   []op
	names map[uintptr]string // of open files in dir
	kept  []any
}

func (d *disk) add(o op) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ops = append(d.ops, o)
}

func (d *disk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.ops)
}

// stop returns what was written down so far.
func (d *disk) stop() []op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

func (d *disk) name(file uintptr) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.names[file]
}

// Functions of C are words that point to functions of Go; see __ccgo_fp in modernc.org/sqlite/lib.
func fn[F any](w uintptr) F { return *(*F)(unsafe.Pointer(&w)) }

// keep returns f as such a word, and keeps it for Go's collector, which does not look into C's memory.
func keep[F any](d *disk, f F) uintptr {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = append(d.kept, f)
	return *(*uintptr)(unsafe.Pointer(&f))
}

// at returns the C structure at address p.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

type (
	openFunc     = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	deleteFunc   = func(tls *libc.TLS, vfs, name uintptr, sync int32) int32
	writeFunc    = func(tls *libc.TLS, file, data uintptr, n int32, off int64) int32
	truncateFunc = func(tls *libc.TLS, file uintptr, size int64) int32
	syncFunc     = func(tls *libc.TLS, file uintptr, flags int32) int32
)

// record puts a disk below every connection that is opened from here to the end of the test.
func record(t *testing.T) *disk {
	t.Helper()
	d := &disk{dir: t.TempDir(), tls: libc.NewTLS(), names: map[uintptr]string{}}
	below := lib.Xsqlite3_vfs_find(d.tls, 0)
	d.real = at[lib.Tsqlite3_vfs](below)
	d.mine = libc.Xcalloc(d.tls, 1, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_vfs{})))
	name, err := libc.CString("recording")
	if err != nil {
		t.Fatal(err)
	}
	mine := at[lib.Tsqlite3_vfs](d.mine)
	*mine = *d.real
	mine.FzName, mine.FpNext = name, 0
	var mu sync.Mutex
	methods := map[uintptr]uintptr{} // copies of the real ones that write down, by the real ones
	mine.FxOpen = keep(d, func(tls *libc.TLS, _, name, file uintptr, flags int32, out uintptr) int32 {
		rc := fn[openFunc](d.real.FxOpen)(tls, below, name, file, flags, out)
		f := at[lib.Tsqlite3_file](file)
		if rc != lib.SQLITE_OK || name == 0 || f.FpMethods == 0 || !strings.HasPrefix(libc.GoString(name), d.dir+"/") {
			return rc
		}
		d.mu.Lock()
		d.names[file] = filepath.Base(libc.GoString(name))
		d.mu.Unlock()
		mu.Lock()
		defer mu.Unlock()
		if methods[f.FpMethods] == 0 {
			methods[f.FpMethods] = d.methods(f.FpMethods)
		}
		f.FpMethods = methods[f.FpMethods]
		return rc
	})
	mine.FxDelete = keep(d, func(tls *libc.TLS, _, name uintptr, sync int32) int32 {
		rc := fn[deleteFunc](d.real.FxDelete)(tls, below, name, sync)
		if rc == lib.SQLITE_OK && strings.HasPrefix(libc.GoString(name), d.dir+"/") {
			d.add(op{kind: 'd', file: filepath.Base(libc.GoString(name))})
		}
		return rc
	})
	lib.Xsqlite3_vfs_register(d.tls, d.mine, 1)
	t.Cleanup(func() {
		lib.Xsqlite3_vfs_unregister(d.tls, d.mine)
	})
	return d
}

// methods returns a copy of the methods of an open file in which those that change it write it down. A sync is written down once
// it is done: who was told of it has a disk that holds it.
func (d *disk) methods(below uintptr) uintptr {
	r := at[lib.Tsqlite3_io_methods](below)
	p := libc.Xcalloc(d.tls, 1, libc.Tsize_t(unsafe.Sizeof(lib.Tsqlite3_io_methods{})))
	m := at[lib.Tsqlite3_io_methods](p)
	*m = *r
	m.FxWrite = keep(d, func(tls *libc.TLS, file, data uintptr, n int32, off int64) int32 {
		d.add(op{kind: 'w', file: d.name(file), off: off, data: bytes.Clone(libc.GoBytes(data, int(n)))})
		return fn[writeFunc](r.FxWrite)(tls, file, data, n, off)
	})
	m.FxTruncate = keep(d, func(tls *libc.TLS, file uintptr, size int64) int32 {
		d.add(op{kind: 't', file: d.name(file), off: size})
		return fn[truncateFunc](r.FxTruncate)(tls, file, size)
	})
	m.FxSync = keep(d, func(tls *libc.TLS, file uintptr, flags int32) int32 {
		rc := fn[syncFunc](r.FxSync)(tls, file, flags)
		if rc == lib.SQLITE_OK {
			d.add(op{kind: 's', file: d.name(file)})
		}
		return rc
	})
	return p
}
