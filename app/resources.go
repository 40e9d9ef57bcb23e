package app

import (
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
)

// spareDescriptors are those that are not of clients: listeners, Redis, the database, files, and the clients that are being refused.
const spareDescriptors = 512

// resources are what the process may use, as far as it can know.
type resources struct {
	processors  int
	memoryLimit int64  // GOMEMLIMIT in bytes; 0: none
	descriptors uint64 // 0: unknown, or no limit
}

func readResources() resources {
	r := resources{processors: runtime.GOMAXPROCS(0), descriptors: descriptorLimit()}
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		r.memoryLimit = limit
	}
	return r
}

// tell says in one line what there is, and warns of what does not fit: clients past the limit of descriptors would not be refused with an
// answer, but not be accepted at all.
func (r resources) tell(log *slog.Logger, connections int) {
	attrs := []any{"processors", r.processors, "connections", connections}
	if r.memoryLimit > 0 {
		attrs = append(attrs, "memory_limit_bytes", r.memoryLimit)
	}
	if r.descriptors > 0 {
		attrs = append(attrs, "descriptors", r.descriptors)
	}
	log.Info("resources", append(attrs, "pid", os.Getpid())...)
	if need := uint64(max(0, connections)) + spareDescriptors; r.descriptors > 0 && r.descriptors < need {
		log.Warn("too few descriptors for so many connections: raise LimitNOFILE or ulimit -n, or lower KENTONGAN_MAX_CONNECTIONS",
			"descriptors", r.descriptors, "connections", connections, "need", need)
	}
}
