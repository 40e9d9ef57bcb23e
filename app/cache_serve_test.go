package app_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"kentongan/cache"
	"kentongan/internal/testenv"
)

// TestServeKeepsACache looks at a server with its cache on, over Redis and in memory, and at one with its cache off.
func TestServeKeepsACache(t *testing.T) {
	addr := testenv.Redis(t)
	for name, environ := range map[string][]string{
		"memory": {"KENTONGAN_CACHE=on", "KENTONGAN_CACHE_BYTES=2MiB"},
		"redis":  {"KENTONGAN_CACHE=on", "KENTONGAN_CACHE_BYTES=2MiB", "KENTONGAN_CACHE_BOUND=200ms", "REDIS_URL=redis://" + addr},
		"off":    {"REDIS_URL=redis://" + addr},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, environ...)
			status, body := s.do(http.MethodGet, s.admin+"/cache", "", nil)
			if name == "off" {
				if status != http.StatusNotFound || !strings.Contains(body, "KENTONGAN_CACHE=on") {
					t.Errorf("/cache answers %d %s", status, body)
				}
				if _, text := s.do(http.MethodGet, s.admin+"/metrics", "", nil); strings.Contains(text, "kentongan_cache_") {
					t.Error("a cache that is off has metrics")
				}
				return
			}
			var st cache.Stats
			if err := json.Unmarshal([]byte(body), &st); status != http.StatusOK || err != nil || st.MaxBytes != 2<<20 || st.Redis != (name == "redis") {
				t.Errorf("/cache answers %d %s, %v", status, body, err)
			}
			eventually(t, "memory answers", func() bool {
				_, text := s.do(http.MethodGet, s.admin+"/metrics", "", nil)
				return strings.Contains(text, "kentongan_cache_breaker_open 0\n") && !strings.Contains(text, "kentongan_cache_staleness_seconds -1\n")
			})
			if status, _ := s.do(http.MethodGet, s.admin+"/cache?limit=x", "", nil); status != http.StatusBadRequest {
				t.Errorf("a bad limit is answered with %d", status)
			}
			if status, _ := s.do(http.MethodGet, s.public+"/cache", "", nil); status != http.StatusNotFound {
				t.Errorf("/cache is public: %d", status)
			}
			s.publish("production:updates:sppg_7", `{"type":"production_update","productionId":"p1"}`)
			if err := s.stop(); err != nil {
				t.Errorf("stop: %v", err)
			}
		})
	}
}
