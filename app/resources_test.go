package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestResourcesAreTold(t *testing.T) {
	for _, c := range []struct {
		name        string
		r           resources
		connections int
		warns       bool
		has         string
	}{
		{"room enough", resources{2, 1 << 30, 100_512}, 50_000, false, "memory_limit_bytes=1073741824 descriptors=100512"},
		{"just enough", resources{2, 0, 50_512}, 50_000, false, "descriptors=50512"},
		{"one too few", resources{2, 0, 50_511}, 50_000, true, "need=50512"},
		{"the usual limit of a shell", resources{2, 0, 1024}, 50_000, true, "need=50512"},
		{"unknown", resources{2, 0, 0}, 50_000, false, "processors=2 connections=50000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			c.r.tell(slog.New(slog.NewTextHandler(&log, nil)), c.connections)
			if got := strings.Contains(log.String(), "level=WARN"); got != c.warns || !strings.Contains(log.String(), c.has) {
				t.Errorf("logged\n%s", log.String())
			}
			if strings.Count(log.String(), "level=INFO") != 1 {
				t.Errorf("want one line\n%s", log.String())
			}
		})
	}
	if r := readResources(); r.processors < 1 {
		t.Errorf("%+v", r)
	}
}
