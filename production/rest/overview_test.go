package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"kentongan/production"
	"kentongan/production/storetest"
	"kentongan/tenant"
)

// watched gives the API an engine that knows these screens; what is wrong with it comes instead.
func (s *stage) watched(by map[tenant.ID]Screens, wrong *error) {
	s.api.opts.Screens = func(_ context.Context, kitchens []tenant.ID) ([]Screens, error) {
		var list []Screens
		for _, k := range kitchens {
			list = append(list, by[k])
		}
		return list, *wrong
	}
}

func (c *client) overview(query string) Overview {
	c.s.t.Helper()
	var o Overview
	c.get("/api/overview" + query).ok(http.StatusOK).into(&o)
	return o
}

// TestOverview: the platform sees what is open, behind and alarming in each kitchen, and who is connected there.
func TestOverview(t *testing.T) {
	s := newStage(t)
	s.failing() // in sppg_1: an alert that is MEDIUM
	var wrong error
	s.watched(map[tenant.ID]Screens{other: {Sessions: 3, People: 2}}, &wrong)
	s.wait(8 * time.Hour)
	s.watch(time.Minute) // by now the batch is late
	for _, user := range []string{"super", "bantuan"} {
		o := s.as(user).overview("")
		if len(o.Kitchens) != 2 || o.Time != production.At(s.now) || o.Next != "" {
			t.Fatalf("%s sees %+v; want two kitchens of now", user, o)
		}
		one, two := o.Kitchens[0], o.Kitchens[1]
		if one.ID != sppg || one.Open != 1 || one.Behind != 1 || one.High == 0 || one.Unanswered == 0 || !one.UnansweredSince.Known() ||
			!one.LastChange.Known() || *one.Sessions != 0 || *one.People != 0 {
			t.Errorf("%s sees %+v of the kitchen that is late", user, one)
		}
		if two.ID != other || two.Open != 0 || two.Behind != 0 || two.Unanswered != 0 || *two.Sessions != 3 || *two.People != 2 || two.Zone != production.WIB {
			t.Errorf("%s sees %+v of the kitchen that rests", user, two)
		}
		if want := (OverviewCounts{Kitchens: 2, Cooking: 1, Alarming: 1, Behind: 1}); o.Counts != want {
			t.Errorf("%s counts %+v; want %+v", user, o.Counts, want)
		}
	}
	for show, want := range map[string]string{"all": "sppg_1 sppg_2", "cooking": "sppg_1", "alarming": "sppg_1", "behind": "sppg_1", "unwatched": "sppg_1"} {
		if got := names(s.as("super").overview("?show=" + show)); got != want {
			t.Errorf("show=%s: %s; want %s", show, got, want)
		}
	}
	for query, want := range map[string]string{"?q=PG_2": "sppg_2", "?q=sppg": "sppg_1 sppg_2", "?q=nobody": "", "?show=unwatched&q=_1": "sppg_1", "?show=unwatched&q=_2": ""} {
		if got := names(s.as("super").overview(query)); got != want {
			t.Errorf("%s: %s; want %s", query, got, want)
		}
	}
	s.as("super").get("/api/overview?q="+strings.Repeat("x", 101)).refused(http.StatusUnprocessableEntity, "INVALID", "query.q")
	page := s.as("super").overview("?limit=1")
	if got := names(page); got != "sppg_1" || page.Next == "" {
		t.Errorf("a page of one: %s, next %q", got, page.Next)
	}
	if got := names(s.as("super").overview("?limit=1&cursor=" + page.Next)); got != "sppg_2" {
		t.Errorf("the page after it: %s; want sppg_2", got)
	}

	// The engine is out: what it knows is unknown and not zero, and everything else is still seen.
	wrong = errors.New("the engine is out")
	o := s.as("super").overview("")
	if len(o.Kitchens) != 2 || o.Kitchens[1].Sessions != nil || o.Kitchens[0].Behind != 1 {
		t.Errorf("without an engine: %+v", o)
	}
	s.as("super").get("/api/overview?show=unwatched").failed(t)
}

func names(o Overview) string {
	var list []string
	for _, k := range o.Kitchens {
		list = append(list, string(k.ID))
	}
	return strings.Join(list, " ")
}

// failed checks for an answer that says nothing of what is wrong inside.
func (r *reply) failed(t *testing.T) {
	t.Helper()
	if r.status < 500 || strings.Contains(string(r.body), "engine is out") {
		t.Errorf("got %d %s; want a fault without its reason", r.status, r.body)
	}
}

// TestOverview_OnlyForThePlatform: nobody of a kitchen sees how the others stand, whatever they ask for.
func TestOverview_OnlyForThePlatform(t *testing.T) {
	s := newStageOn(t, storetest.NewModel())
	for user, role := range team {
		if role.Platform() {
			continue
		}
		for _, query := range []string{"", "?show=unwatched", "?tenant=sppg_1"} {
			s.as(user).get("/api/overview"+query).refused(http.StatusForbidden, "FORBIDDEN")
		}
		s.as(user).get("/api/overview?tenant=sppg_2").refused(http.StatusNotFound, "NOT_FOUND")
	}
	s.nobody().get("/api/overview").refused(http.StatusUnauthorized, "UNAUTHENTICATED")
	s.key(apiKey).get("/api/overview").refused(http.StatusForbidden, "FORBIDDEN")
	s.key(apiKey + "-of-all").get("/api/overview").ok(http.StatusOK)
	s.as("super").get("/api/overview?tenant=sppg_1").refused(http.StatusForbidden, "FORBIDDEN") // it is about all
	s.as("super").get("/api/overview?show=some").refused(http.StatusUnprocessableEntity, "INVALID", "query.show")
	s.as("super").get("/api/overview?cursor=x").refused(http.StatusUnprocessableEntity, "INVALID", "query.cursor")
}

// TestOverview_IsWrittenDown once in a while, however often a screen asks.
func TestOverview_IsWrittenDown(t *testing.T) {
	s := newStageOn(t, storetest.NewModel())
	count := func() int { return strings.Count(s.log.String(), "the platform looks at all kitchens") }
	for range 5 {
		s.as("super").overview("")
	}
	s.as("bantuan").overview("")
	if got := count(); got != 2 || !strings.Contains(s.log.String(), "user=super") {
		t.Errorf("%d lines in the log, want one for each of the two:\n%s", got, s.log.String())
	}
	s.wait(lookTime)
	s.as("super").overview("")
	if got := count(); got != 3 {
		t.Errorf("%d lines in the log after a while; want 3", got)
	}
}

// TestOverview_FindsTheUnwatchedAmongMany goes over several pages of the store.
func TestOverview_FindsTheUnwatchedAmongMany(t *testing.T) {
	s := newStageOn(t, storetest.NewModel())
	screens := map[tenant.ID]Screens{}
	for i := range 1100 {
		k := tenant.ID(fmt.Sprintf("k%04d", i))
		_, err := s.store.Commit(t.Context(), production.Commit{Tenant: k, Batch: &production.Batch{
			Revision: 1, Production: production.Production{ID: "b", Tenant: k, Status: production.Cooking},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if i != 3 && i != 1050 {
			screens[k] = Screens{Sessions: 1, People: 1}
		}
	}
	var wrong error
	s.watched(screens, &wrong)
	page := s.as("super").overview("?show=unwatched&limit=1")
	next := s.as("super").overview("?show=unwatched&limit=1&cursor=" + page.Next)
	if names(page) != "k0003" || names(next) != "k1050" || next.Next != "" {
		t.Errorf("got %s, then %s and %q; want k0003, then k1050 and the end", names(page), names(next), next.Next)
	}
}
