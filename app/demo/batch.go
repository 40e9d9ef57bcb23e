package demo

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// status is where a batch stands.
type status string

const (
	planned      status = "PLANNED"
	preparing    status = "PREPARING"
	cooking      status = "COOKING"
	qualityCheck status = "QUALITY_CHECK"
	completed    status = "COMPLETED"
	cancelled    status = "CANCELLED"
)

// How long the steps take, in seconds, at least; each gets up to half of it more. A batch takes about two minutes.
const (
	plannedSeconds   = 8
	preparingSeconds = 20
	cookingSeconds   = 40
	checkingSeconds  = 20
)

// consumeWithin is the rule that counts most: cooked food is eaten within four hours.
const consumeWithin = 4 * time.Hour

// batch writes the timeline of one batch. Everything about it is decided when it is made, so the timeline does not depend
// on how often somebody looks.
type batch struct {
	k        *Kitchen
	rng      *rand.Rand
	id       string
	number   string
	menu     menu
	portions int
	now      time.Time // of the next event
	version  int
	status   status
	progress int
	celsius  float64
	serial   int    // of readings, checks and alerts
	alert    *alert // the one that is not settled yet
	events   []event
}

// newBatch returns the whole life of the nth batch of k, which is planned at start.
func newBatch(k *Kitchen, seed uint64, n int, start time.Time) []event {
	b := &batch{
		k: k, now: start,
		rng: rand.New(rand.NewPCG(seed^hash(string(k.ID)), uint64(n))), //nolint:gosec // to be repeatable, not secret
		id:  fmt.Sprintf("prod_%s_%d_%d", k.ID, start.Unix(), n),
	}
	b.number = fmt.Sprintf("BATCH-%s-%04d", start.In(k.Zone).Format("20060102"), n%9999+1)
	b.menu = k.menus[n%len(k.menus)]
	b.portions = k.cap * (70 + b.rng.IntN(31)) / 100
	b.celsius = 22 + 6*b.rng.Float64()
	trouble := b.pickTrouble()
	b.plan(n)
	b.wait(plannedSeconds)
	b.prepare(trouble)
	b.cook(trouble)
	if b.check(trouble) {
		b.dispatch()
	}
	return b.events
}

// hash is FNV-1a; it keeps the kitchens of one seed apart.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// wait lets at least so many seconds pass, and up to half as many more.
func (b *batch) wait(seconds float64) {
	span := seconds * (1 + b.rng.Float64()/2)
	b.now = b.now.Add(time.Duration(span * float64(time.Second))).Truncate(time.Millisecond)
}

func (b *batch) newID(kind string) string {
	b.serial++
	return fmt.Sprintf("%s_%s_%d", kind, b.id, b.serial)
}

// say puts a message on one of the kitchen's channels.
func (b *batch) say(channel string, payload any) {
	b.events = append(b.events, event{at: b.now, message: Message{Channel: named(b.k.ID, channel), Data: encode(payload)}})
}

// change publishes changed fields.
func (b *batch) change(by string, c changes) {
	b.version++
	c.Version = b.version
	b.say("production:updates", update{"production_update", b.id, c, b.now.UnixMilli(), by})
}

// enter changes the status, with the smallest progress that the new one has.
func (b *batch) enter(next status, progress int, by string, c changes) {
	c.Status, c.OldStatus = next, b.status
	b.status = next
	b.progress = max(b.progress, progress)
	c.Progress = &b.progress
	b.change(by, c)
}

// advance raises the progress; it never falls.
func (b *batch) advance(to int, c changes) {
	b.progress = max(b.progress, to)
	c.Progress = &b.progress
	b.change(b.k.crew.cook, c)
}

func (b *batch) plan(n int) {
	local := b.now.In(b.k.Zone)
	b.status, b.version = planned, 1
	b.say("production:updates", update{"production_created", b.id, production{
		ID: b.id, TenantID: string(b.k.ID), ProgramID: "prog_" + string(b.k.ID), MenuID: b.menu.id, MenuName: b.menu.name,
		BatchNumber: b.number, ProductionDate: local.Format(time.DateOnly), Wave: n%2 + 1, ControlMode: "TIME",
		PlannedPortions: b.portions, PlannedStartTime: b.now.UTC(), PlannedEndTime: b.now.Add(30 * time.Minute).UTC(),
		EstimatedCost: b.portions * 9500, TargetTemperature: minCore, HeadCook: b.k.crew.cook, SupervisorID: b.k.crew.head,
		Status: planned, Progress: 0, Version: 1, CreatedAt: b.now.UTC(),
	}, b.now.UnixMilli(), b.k.crew.head})
}

func (b *batch) prepare(t trouble) {
	if t == startLate {
		b.raise(startLate, 18, 15, "min")
		b.wait(plannedSeconds)
		b.settle()
	}
	at := b.now.UTC()
	b.enter(preparing, 5, b.k.crew.cook, changes{ActualStartTime: &at})
	b.inventory()
	b.wait(preparingSeconds / 4)
	b.advance(12, changes{})
	b.wait(preparingSeconds / 4)
	b.inspect("HYGIENE", "Kebersihan area dan alat", "≥ 80", fmt.Sprint(85+b.rng.IntN(14)), true)
	b.wait(preparingSeconds / 4)
	b.advance(22, changes{})
	b.wait(preparingSeconds / 4)
}

// minCore is the core temperature that hot food must reach, in °C.
const minCore = 75

func (b *batch) cook(t trouble) {
	at := b.now.UTC()
	b.enter(cooking, 30, b.k.crew.cook, changes{CookingStartedAt: &at})
	const readings = 7
	goal := minCore + 3 + 9*b.rng.Float64()
	if t == coreTempLow {
		goal = 70.5 + 4*b.rng.Float64()
	}
	for i := 1; i <= readings; i++ {
		b.wait(cookingSeconds / readings)
		b.celsius += (goal - b.celsius) * float64(i) / readings
		if t == noReading && i == 3 {
			b.raise(noReading, 31, 30, "min")
			continue
		}
		b.measure(30 + 45*i/readings)
		if t == noReading && i == 4 {
			b.settle()
		}
	}
	if t == coreTempLow {
		b.raise(coreTempLow, tenth(b.celsius), minCore, "°C")
		b.wait(cookingSeconds / readings)
		b.acknowledge()
		b.wait(cookingSeconds / readings)
		b.celsius = minCore + 4
		b.measure(77)
		b.settle()
	}
	done, by := b.now.UTC(), b.now.Add(consumeWithin).UTC()
	portions := b.portions - b.rng.IntN(1+b.portions/50)
	if t == yieldLow {
		portions = b.portions * (88 + b.rng.IntN(6)) / 100
	}
	b.enter(qualityCheck, 80, b.k.crew.cook, changes{CookedAt: &done, ConsumeBy: &by, ActualPortions: &portions})
	if t == yieldLow {
		b.raise(yieldLow, tenth(float64(portions)/float64(b.portions)*100), 95, "%")
	}
}

func (b *batch) measure(progress int) {
	c := tenth(b.celsius)
	b.advance(progress, changes{ActualTemperature: &c, Reading: &reading{
		ID: b.newID("read"), ProductionID: b.id, Kind: "CORE", Dish: b.menu.dish, Celsius: c,
		TakenAt: b.now.UTC(), ReceivedAt: b.now.UTC(), Source: "PROBE", TakenBy: b.k.crew.cook,
	}})
}

// check checks the food and releases it. It returns false if the batch had to be thrown away.
func (b *batch) check(t trouble) bool {
	b.wait(checkingSeconds / 5)
	if t == sampleMissing {
		b.raise(sampleMissing, 15, 15, "min")
		b.wait(checkingSeconds / 5)
	}
	taken, keep := b.now.UTC(), b.now.Add(72*time.Hour).UTC()
	b.advance(83, changes{SampleTakenAt: &taken, SampleKeepUntil: &keep})
	b.settle()
	b.wait(checkingSeconds / 5)
	b.inspect("TEMPERATURE", "Suhu inti "+b.menu.dish, "≥ 75 °C", fmt.Sprintf("%.1f °C", b.celsius), true)
	b.wait(checkingSeconds / 5)
	b.inspect("TASTE", "Rasa dan aroma", "≥ 3", fmt.Sprint(3+b.rng.IntN(3)), true)
	b.inspect("APPEARANCE", "Warna dan tekstur", "≥ 3", fmt.Sprint(3+b.rng.IntN(3)), true)
	b.wait(checkingSeconds / 5)
	safe := t != qcFailed
	result := "negatif"
	if !safe {
		result = "positif formalin"
	}
	b.inspect("SAFETY", "Uji cepat formalin, nitrit, sianida, arsen", "negatif", result, safe)
	if !safe {
		b.raise(qcFailed, 1, 0, "")
		b.wait(checkingSeconds / 5)
		b.acknowledge()
	}
	b.wait(checkingSeconds / 5)
	b.finish(safe, t)
	return safe
}

func (b *batch) finish(safe bool, t trouble) {
	at, waste := b.now.UTC(), tenth(2+7*b.rng.Float64())
	if t == wasteHigh {
		waste += 10
	}
	if safe {
		b.enter(completed, 100, b.k.crew.nutritionist, changes{ActualEndTime: &at, QualityPassed: &safe, WasteAmount: &waste})
	} else {
		b.enter(cancelled, 0, b.k.crew.nutritionist, changes{ActualEndTime: &at, QualityPassed: &safe, WasteAmount: &waste,
			RejectionReason: "Uji cepat positif formalin; seluruh batch dimusnahkan."})
	}
	if t == wasteHigh {
		b.raise(wasteHigh, waste, 10, "kg")
		b.wait(checkingSeconds / 5)
	}
	b.settle()
}

// inspect publishes a quality check.
func (b *batch) inspect(kind, parameter, expected, actual string, passed bool) {
	c := check{
		ID: b.newID("check"), ProductionID: b.id, CheckType: kind, CheckTime: b.now.UTC(), CheckedBy: b.k.crew.nutritionist,
		Parameter: parameter, ExpectedValue: expected, ActualValue: actual, Passed: passed, Score: 100,
	}
	if !passed {
		c.Score, c.Severity, c.ActionRequired, c.FollowUp = 0, critical, true, true
	}
	b.change(b.k.crew.nutritionist, changes{QualityCheck: &c})
}
