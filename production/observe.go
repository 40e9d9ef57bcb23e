package production

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"kentongan/tenant"
)

// Flag says what is wrong with something that an app has published. FlagField is followed by a colon and a JSON name.
type Flag = string

// The flags.
const (
	FlagMalformed    Flag = "MALFORMED"          // it is no JSON object
	FlagUnknownType  Flag = "UNKNOWN_TYPE"       // it is neither a production_created, nor _update, nor _alert
	FlagNoID         Flag = "NO_PRODUCTION_ID"   // it does not say of which production
	FlagKeptHere     Flag = "KEPT_HERE"          // the production is one of ours: nobody else changes it
	FlagUnknown      Flag = "UNKNOWN_PRODUCTION" // an update of one that was never told of: it is kept with what is known
	FlagOldVersion   Flag = "OLD_VERSION"        // something newer was told before: it changes nothing
	FlagStep         Flag = "IMPOSSIBLE_STEP"    // no step leads there; it is shown as the app says
	FlagProgress     Flag = "PROGRESS_FALLS"     // likewise
	FlagClock        Flag = "CLOCK_RESTARTS"     // a cooked time that is later than the one before: the earlier one counts
	FlagNumberTaken  Flag = "BATCH_NUMBER_TAKEN" // another batch has the number: it is shown as APP-id
	FlagAlerts       Flag = "TOO_MANY_ALERTS"    // the batch has as many alerts of the app as it can have: another one is not shown
	FlagField        Flag = "FIELD"              // a field that cannot be what it should be; it is left as it was
	appNumber             = "APP-"               // before the id: the number of a batch whose app told none
	maxObservationID      = 128
	maxTracks             = 4 * MaxDishes
)

// message is what the app publishes, as far as we look.
type message struct {
	kind string
	id   string
	data map[string]json.RawMessage
	said map[string]json.RawMessage // of an alert
	at   json.RawMessage
	flag Flag // what is wrong with it, so that nothing can be done
}

// readMessage finds its way in all shapes that the app has: plain, in a broadcast, and the older one with an eventType.
func readMessage(payload []byte) message {
	m, ok := object(payload)
	if !ok {
		return message{flag: FlagMalformed}
	}
	if word(m["type"]) == "broadcast" {
		if inner, ok := object(m["message"]); ok {
			m = inner
		}
	}
	msg := message{kind: word(m["type"]), id: word(m["productionId"]), at: m["timestamp"]}
	if msg.kind == "" && word(m["eventType"]) == "PRODUCTION_CREATED" {
		msg.kind = "production_created"
	}
	msg.data, ok = object(m["data"])
	if msg.id == "" {
		msg.id = word(msg.data["id"])
	}
	switch msg.kind {
	case "production_created", "production_update":
		if !ok {
			msg.flag = FlagMalformed
		}
	case "production_alert":
		if msg.said, ok = object(m["alert"]); !ok {
			msg.flag = FlagMalformed
		} else if msg.id == "" {
			msg.id = word(msg.said["productionId"])
		}
	default:
		msg.flag = FlagUnknownType
	}
	if !tenant.Valid(msg.id) { // ids of productions are as those of tenants
		msg.id = ""
		if msg.flag == "" {
			msg.flag = FlagNoID
		}
	}
	return msg
}

// object reads a JSON object without regard to what is in it. Names are exact: encoding/json is not, with a struct.
func object(text []byte) (map[string]json.RawMessage, bool) {
	var m map[string]json.RawMessage
	if !utf8.Valid(text) || json.Unmarshal(text, &m) != nil {
		return nil, false
	}
	return m, m != nil
}

func word(text json.RawMessage) string {
	var s string
	if json.Unmarshal(text, &s) != nil {
		return ""
	}
	return s
}

// ObservedProduction returns the id of the production that payload is about, or "" if it does not say.
func ObservedProduction(payload []byte) string { return readMessage(payload).id }

// Observe takes in what an app published by itself on a channel of updates or alerts: a copy of the batch is kept as the
// app says it is, whatever our rules think of it, and what cannot be right is flagged. It never fails: payload may be anything.
// The clock of the food is the exception: it never starts again, whatever an app says. in holds the batch of that id, if there is
// one, and id is what Observation.ID is to be. Alerts are raised as for any other batch. Observe is pure.
func Observe(in Loaded, id string, payload []byte, now Instant) (c Commit, flags []string) {
	if in.Observed {
		return Commit{}, nil
	}
	msg := readMessage(payload)
	o := observer{in: in, msg: msg, now: now, limits: in.Kitchen.Kitchen.Limits.OrDefaults(), id: id}
	o.commit.Tenant = in.Kitchen.Kitchen.ID
	switch {
	case msg.flag != "":
		o.flag(msg.flag)
	case msg.kind == "production_alert":
		o.hear()
	default:
		o.take()
	}
	o.commit.Observations = []Observation{{ID: id, At: now, ProductionID: msg.id, Payload: payload, Flags: o.flags}}
	return o.commit, o.flags
}

// observer folds one message into the copy of a batch.
type observer struct {
	in     Loaded
	msg    message
	now    Instant
	at     Instant
	limits Limits
	id     string
	p      Production
	f      Facts
	commit Commit
	flags  []Flag
}

func (o *observer) flag(f Flag) {
	if !slices.Contains(o.flags, f) {
		o.flags = append(o.flags, f)
	}
}

// meet finds the batch of the message and its time, and reports whether an app may tell of that batch.
func (o *observer) meet() (known, ours bool) {
	o.p, o.f = o.in.Batch.Production, o.in.Batch.Facts.clone()
	known = o.p.ID != ""
	if known && o.p.Source != AppRecord {
		o.flag(FlagKeptHere)
		return known, false
	}
	var said Instant
	if len(o.msg.at) > 0 && json.Unmarshal(o.msg.at, &said) != nil {
		o.flag(FlagField + ":timestamp")
	}
	o.at = believable(said, o.now, said.Sub(o.now) > MaxClockSkew)
	return known, true
}

func (o *observer) take() {
	old := o.in.Batch
	known, ours := o.meet()
	if !ours {
		return
	}
	version := int64(0)
	if text := o.msg.data["version"]; text != nil && (json.Unmarshal(text, &version) != nil || version < 1) {
		o.flag(FlagField + ":version")
		version = 0
	}
	if known && version != 0 && version <= o.p.Version {
		o.flag(FlagOldVersion)
		return
	}
	if !known {
		o.begin()
	}
	before := o.p
	o.fields()
	o.rows()
	o.judge(&before, known)
	o.p.Version = max(version, o.p.Version+1)
	o.p.UpdatedAt = o.now

	o.store(old.Alerts)
}

// store has the batch stored as it is now, with these alerts once the rules have looked at it.
func (o *observer) store(alerts []Alert) {
	b := Batch{Production: o.p, Facts: o.f, Alerts: alerts, Revision: o.in.Batch.Revision + 1}
	look(&b, &o.commit, &o.in.Kitchen.Kitchen, o.in.Day, &o.limits, o.now)
	number(&o.commit, b.Production.ID, b.Revision)
	o.commit.Batch, o.commit.Base = &b, o.in.Batch.Revision
}

// begin is what is known of a batch of which nothing was told.
func (o *observer) begin() {
	if o.msg.kind != "production_created" {
		o.flag(FlagUnknown)
	}
	o.p = Production{
		ID: o.msg.id, Tenant: o.in.Kitchen.Kitchen.ID, Source: AppRecord, Status: Planned, StatusSince: o.at, ControlMode: ControlTime,
		BatchNumber: appNumber + o.msg.id, Day: DayOf(o.at, o.in.Kitchen.Kitchen.Zone), TargetTemperature: *o.limits.CoreMinC,
		CreatedAt: o.now, Dishes: []Dish{}, AssistantCooks: []string{}, Photos: []string{},
	}
}

// fields takes every field that can be read, in the order of their names, so that the flags have one order, too.
func (o *observer) fields() {
	for _, f := range appFields {
		text := o.msg.data[f.name]
		if text == nil {
			continue
		}
		was := o.p
		if bytes.Equal(text, []byte("null")) {
			continue // an app that does not know says so, and takes nothing back
		}
		if !f.take(&o.p, text, o.in.Kitchen.Kitchen.Zone) {
			o.p = was
			o.flag(FlagField + ":" + f.name)
		}
	}
}

// rows takes a reading and a check.
func (o *observer) rows() {
	if text := o.msg.data["reading"]; text != nil {
		var r Reading
		var bad fields
		err := json.Unmarshal(text, &r)
		bad.celsius("", &r.Celsius)
		if err != nil || !slices.Contains(ReadingKinds, r.Kind) || len(bad) > 0 {
			o.flag(FlagField + ":reading")
		} else {
			o.reading(r)
		}
	}
	if text := o.msg.data["qualityCheck"]; text != nil {
		var c Check
		var bad fields
		err := json.Unmarshal(text, &c)
		bad.text("", c.Parameter, 0, 100)
		bad.text("", c.ExpectedValue, 0, 100)
		bad.text("", c.ActualValue, 0, 100)
		bad.text("", c.Notes+c.Recommendations+c.ActionTaken, 0, 3000)
		if err != nil || !slices.Contains(CheckTypes, c.Type) || len(bad) > 0 {
			o.flag(FlagField + ":qualityCheck")
		} else {
			o.check(c)
		}
	}
}

// rowID follows from where the message came from. The app's own ids may come twice.
func (o *observer) rowID(kind string) string {
	sum := sha256.Sum256([]byte(string(o.commit.Tenant) + "|" + o.id))
	return "obs_" + hex.EncodeToString(sum[:16]) + "_" + kind
}

func (o *observer) reading(r Reading) {
	r.ID, r.ProductionID, r.ReceivedAt, r.Late, r.Corrects = o.rowID("reading"), o.p.ID, o.now, false, ""
	known := slices.ContainsFunc(o.p.Dishes, func(d Dish) bool { return d.Name == r.Dish })
	if !known || o.f.track(r.Kind, r.Dish) == nil && len(o.f.Tracks) >= maxTracks {
		r.Dish = "" // facts are kept of so many dishes as a batch has, however often an app renames them
	}
	if !r.TakenAt.Known() {
		r.TakenAt = o.at
	}
	if r.Source != Probe {
		r.Source = Manual
	}
	r.TakenBy = clip(r.TakenBy)
	r.ClockOff = r.TakenAt.Sub(o.now) > MaxClockSkew
	o.f.measure(&r, o.limits)
	o.commit.Readings = []Reading{r}
}

func (o *observer) check(c Check) {
	c.ID, c.ProductionID, c.ReceivedAt, c.Late = o.rowID("check"), o.p.ID, o.now, false
	if !c.Time.Known() {
		c.Time = o.at
	}
	if !c.Passed && c.Severity.Rank() == 0 {
		d := draft{p: o.p, f: o.f, limits: o.limits}
		c.Severity = d.failed(AddCheck{Type: c.Type, Celsius: c.Celsius})
	}
	c.CheckedBy, c.ActionBy = clip(c.CheckedBy), clip(c.ActionBy)
	c.ClockOff = c.Time.Sub(o.now) > MaxClockSkew
	o.f.count(&c)
	o.f.mark(&c)
	o.commit.Checks = []Check{c}
}

func clip(s string) string {
	if len(s) > tenant.MaxBytes || !utf8.ValidString(s) || strings.IndexFunc(s, unprintable) >= 0 {
		return ""
	}
	return s
}

// judge flags what cannot be, and keeps the clock.
func (o *observer) judge(before *Production, known bool) {
	if o.p.Status != before.Status {
		isStep := slices.ContainsFunc(steps, func(s step) bool { return s.from == before.Status && s.to == o.p.Status })
		if known && !isStep && (o.p.Status != Cancelled || before.Status.Final()) {
			o.flag(FlagStep)
		}
		o.entered(before.Status == QualityCheck && o.p.Status == Cooking)
	}
	if o.p.Progress < before.Progress && (before.Status != QualityCheck || o.p.Status != Cooking) {
		o.flag(FlagProgress)
	}
	o.clock(before)
}

// entered gives a new status the effects that the app has not told itself.
func (o *observer) entered(rework bool) {
	p := &o.p
	p.StatusSince = o.at
	o.f.RoundChecks, o.f.RoundReading = len(o.commit.Checks), false
	o.f.Started = o.f.Started || p.Status != Planned && p.Status != Cancelled
	if _, told := o.msg.data["progress"]; !told && !rework {
		p.Progress = max(p.Progress, p.Status.floor())
	}
	if p.Status == Cooking && !p.CookingStarted.Known() {
		p.CookingStarted = o.at
	}
	if (p.Status == QualityCheck || p.Status == Completed) && !p.Cooked.Known() {
		p.Cooked = o.at
	}
	if p.Status.Final() && !p.ActualEnd.Known() {
		p.ActualEnd = o.at
	}
}

// clock never lets the four hours begin later than was told once, nor last longer.
func (o *observer) clock(before *Production) {
	p := &o.p
	if before.Cooked.Known() && p.Cooked > before.Cooked {
		o.flag(FlagClock)
		p.Cooked = before.Cooked
	}
	if p.Cooked.Known() {
		p.ConsumeBy = sooner(p.ConsumeBy, p.Cooked.Add(minutes(o.limits.EatWithinMin)))
	}
	if before.ConsumeBy.Known() && p.ConsumeBy > before.ConsumeBy {
		o.flag(FlagClock)
		p.ConsumeBy = before.ConsumeBy
	}
}

// Observe takes in what an app published by itself; see the function of that name. id is where it came from, at most 128 bytes: the same
// id is taken in once. It returns the flags, and ErrUnavailable if the store cannot be reached.
func (s *Service) Observe(ctx context.Context, t tenant.ID, id string, payload []byte) ([]string, error) {
	if id == "" || len(id) > maxObservationID {
		panic(fmt.Sprintf("production: the id of an observation has %d bytes", len(id)))
	}
	msg := readMessage(payload)
	want := Want{Production: msg.id, Observed: id, Alert: msg.alertID()}
	leave, err := s.lanes.enter(ctx, string(t), want.Production)
	if err != nil {
		return nil, err
	}
	defer leave()
	var last Commit
	for range maxTries {
		in, err := s.store.Load(ctx, t, want)
		if errors.Is(err, ErrNotFound) {
			in, err = s.store.Load(ctx, t, Want{Observed: id, Alert: want.Alert})
		}
		if err != nil {
			return nil, fmt.Errorf("load production %s: %w", want.Production, err)
		}
		c, flags := Observe(in, id, payload, At(s.opts.Now()))
		if len(c.Observations) == 0 {
			return nil, nil // taken in before
		}
		if last.Batch != nil && c.Batch != nil && c.Base == last.Base { // nothing came between: so another batch has the number
			c.Batch.Production.BatchNumber = in.Batch.Production.BatchNumber
			if c.Base == 0 {
				c.Batch.Production.BatchNumber = appNumber + c.Batch.Production.ID
			}
			flags = append(flags, FlagNumberTaken)
			c.Observations[0].Flags = flags
		}
		last = c
		switch _, err = s.store.Commit(ctx, c); {
		case err == nil:
			return flags, nil
		case !errors.Is(err, ErrConflict):
			return nil, fmt.Errorf("store what was published: %w", err)
		}
	}
	return nil, fmt.Errorf("%w: %d times in a row somebody else was quicker", ErrUnavailable, maxTries)
}
