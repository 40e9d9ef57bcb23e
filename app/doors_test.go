package app_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/testenv"
)

func redisClient(t *testing.T, addr, password string) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{addr}, Password: password, DisableCache: true, ForceSingleClient: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestRedisDoor publishes through the door with a Redis client, and follows with it what comes over HTTP.
func TestRedisDoor(t *testing.T) {
	s := start(t, "KENTONGAN_REDIS_DOOR=127.0.0.1:0")
	screen := s.dial(s.cookie("u1", "k1", "SPPG_KEPALA"))
	s.publish("updates:k1", `"first"`)
	if got := read(t, screen); got != `"first"` {
		t.Fatalf("the screen reads %s", got)
	}
	app := redisClient(t, s.redis, apiKey)
	ctx := t.Context()
	n, err := app.Do(ctx, app.B().Publish().Channel("updates:k1").Message(`{"by":"redis"}`).Build()).AsInt64()
	if err != nil || n != 1 {
		t.Fatalf("PUBLISH answers %d, %v; want the one screen", n, err)
	}
	if got := read(t, screen); got != `{"by":"redis"}` {
		t.Errorf("the screen reads %s", got)
	}
	if err := app.Do(ctx, app.B().Publish().Channel("updates:k1").Message(`{`).Build()).Error(); err == nil ||
		!strings.Contains(err.Error(), "invalid JSON") {
		t.Errorf("a publication that is no JSON: %v", err)
	}

	heard := make(chan string, 1)
	listening, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = app.Receive(listening, app.B().Subscribe().Channel("updates:k1").Build(), func(m rueidis.PubSubMessage) {
			select {
			case heard <- m.Message:
			default:
			}
		})
	}()
	for { // until the subscription is there
		s.publish("updates:k1", `{"by":"http"}`)
		select {
		case got := <-heard:
			if got != `{"by":"http"}` {
				t.Errorf("heard %s", got)
			}
			cancel()
			<-done
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestDurableStream appends as the app does, and finds what can never be published in the list.
func TestDurableStream(t *testing.T) {
	addr := testenv.Redis(t)
	s := start(t, "REDIS_URL=redis://"+addr)
	eventually(t, "readiness", func() bool {
		status, _ := s.do(http.MethodGet, s.public+"/readyz", "", nil)
		return status == http.StatusOK
	})
	screen := s.dial(s.cookie("u1", "k1", "SPPG_KEPALA"))
	s.publish("updates:k1", `"first"`)
	for got := ""; got != `"first"`; got = read(t, screen) { // behind what tells of the start
		if got != "" {
			t.Logf("the screen reads %s", got)
		}
	}
	app := redisClient(t, addr, "")
	for _, data := range []string{`{"n":1}`, `{`, `{"n":2}`} {
		cmd := app.B().Xadd().Key("kentongan:publish").Id("*").FieldValue().FieldValue("channel", "updates:k1").FieldValue("data", data).Build()
		if err := app.Do(t.Context(), cmd).Error(); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`{"n":1}`, `{"n":2}`} {
		if got := read(t, screen); got != want {
			t.Errorf("the screen reads %s, want %s", got, want)
		}
	}
	var list struct {
		Total   int
		Entries []struct{ Entry, Reason, Channel string }
	}
	status, body := s.do(http.MethodGet, s.admin+"/stream/poison?limit=5", "", nil)
	if err := json.Unmarshal([]byte(body), &list); status != http.StatusOK || err != nil {
		t.Fatalf("%d %s", status, body)
	}
	if list.Total != 1 || len(list.Entries) != 1 || list.Entries[0].Channel != "updates:k1" || !strings.HasPrefix(list.Entries[0].Reason, "invalid JSON") {
		t.Errorf("the list of poison is %s", body)
	}
	if status, _ := s.do(http.MethodGet, s.admin+"/stream/poison?limit=0", "", nil); status != http.StatusBadRequest {
		t.Errorf("limit=0 is answered with %d", status)
	}
	status, body = s.do(http.MethodGet, s.public+"/readyz", "", nil)
	if status != http.StatusOK || !strings.Contains(body, "intake of the durable stream") {
		t.Errorf("/readyz: %d %s", status, body)
	}
}
