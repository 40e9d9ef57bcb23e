package intake_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kentongan/realtime"
	"kentongan/realtime/intake"
	"kentongan/realtime/memory"
)

// A relay publishes an event under its id. It crashes before it has noted that, and publishes it again.
func ExampleRelay() {
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		panic(err)
	}
	broker, err := memory.New(memory.Options{Names: names})
	if err != nil {
		panic(err)
	}
	relay := intake.NewRelay(names, broker, 0)
	ch := realtime.Channel{Tenant: "sppg_7", Name: "production:updates"}
	for _, event := range []struct{ id, data string }{
		{"evt-1", `{"type":"production_created"}`},
		{"evt-2", `{"type":"production_update"}`},
		{"evt-1", `{"type":"production_created"}`}, // again, after the crash
		{"evt-1", `{"type":"production_update"}`},  // a mistake
	} {
		p, err := relay.Publish(context.Background(), ch, []byte(event.data), event.id)
		switch {
		case errors.Is(err, realtime.ErrUnavailable):
			fmt.Println("later, with the same id")
		case err != nil:
			fmt.Println("never:", errors.Is(err, realtime.ErrKeyReused))
		default:
			fmt.Println("offset", p.Position.Offset, "duplicate", p.Duplicate)
		}
	}
	// Output:
	// offset 1 duplicate false
	// offset 2 duplicate false
	// offset 1 duplicate true
	// never: true
}

// TestRelayChecksAsOtherDoors has what may never be stored: the engine is not asked.
func TestRelayChecksAsOtherDoors(t *testing.T) {
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		t.Fatal(err)
	}
	broker, err := memory.New(memory.Options{Names: names})
	if err != nil {
		t.Fatal(err)
	}
	relay := intake.NewRelay(names, broker, 100)
	good := realtime.Channel{Tenant: "k1", Name: "updates"}
	for _, row := range []struct {
		name      string
		ch        realtime.Channel
		data, key string
		want      error
	}{
		{"UnknownChannel", realtime.Channel{Tenant: "k1", Name: "nothing"}, "1", "a", realtime.ErrNoChannel},
		{"WholeKitchen", realtime.Channel{Tenant: "k1"}, "1", "b", realtime.ErrNoChannel},
		{"TenantOfAGlobalChannel", realtime.Channel{Tenant: "k1", Name: "system-alert"}, "1", "c", realtime.ErrNoChannel},
		{"BadTenant", realtime.Channel{Tenant: "k 1", Name: "updates"}, "1", "d", realtime.ErrNoChannel},
		{"NoKey", good, "1", "", intake.ErrNoKey},
		{"LongKey", good, "1", strings.Repeat("k", 256), realtime.ErrInvalid},
		{"NoData", good, "", "e", realtime.ErrInvalid},
		{"NotJSON", good, "{", "f", realtime.ErrInvalid},
		{"NotUTF8", good, "\"\xff\"", "g", realtime.ErrInvalid},
		{"TooLarge", good, `"` + strings.Repeat("x", 99) + `"`, "h", realtime.ErrInvalid},
	} {
		t.Run(row.name, func(t *testing.T) {
			if p, err := relay.Publish(t.Context(), row.ch, []byte(row.data), row.key); !errors.Is(err, row.want) {
				t.Errorf("got %+v, %v; want %v", p, err, row.want)
			}
		})
	}
	if st := broker.Stats(); st.Published != 0 {
		t.Errorf("%d were stored", st.Published)
	}
	if p, err := relay.Publish(t.Context(), good, []byte(`"`+strings.Repeat("x", 98)+`"`), "i"); err != nil || p.Position.Offset != 1 || p.Duplicate {
		t.Errorf("what may be stored: %+v, %v", p, err)
	}
}
