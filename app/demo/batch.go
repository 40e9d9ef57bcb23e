package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"kentongan/internal/nap"
	"kentongan/production"
)

// programme is what all batches are cooked for.
const programme = "mbg"

// How long the steps take, in seconds, at least; each gets up to half of it more. A batch takes about two minutes.
const (
	plannedSeconds   = 8
	preparingSeconds = 20
	cookingSeconds   = 40
	checkingSeconds  = 20
	standingSeconds  = 75 // of trays that stand too long
)

// trouble is what goes wrong with a batch.
type trouble int

const (
	nothing  trouble = iota
	tooCool          // the food is not hot enough, and goes back to the stove
	unsafe           // the rapid test finds what must not be in it: everything is thrown away
	fewer            // there are fewer portions than planned
	waste            // much is thrown away
	standing         // the trays stand, and somebody is called
	troubles
)

// batch is one batch of food and the people who make it.
type batch struct {
	*demo
	k    *Kitchen
	menu menu
	n    int
	rng  *rand.Rand
	p    production.Production // as it was after the last step
}

// request is something that user does.
func (k *Kitchen) request(user string, role production.Role) production.Request {
	return production.Request{Tenant: k.ID, Actor: production.Actor{User: user, Role: role}}
}

func (b *batch) by(user string) production.Request {
	r := b.k.request(user, b.k.crew.roles()[user])
	r.Version = b.p.Version
	return r
}

// took keeps the batch as it is now.
func (b *batch) took(r production.Result, err error) error {
	if err == nil && r.Production.ID != "" {
		b.p = r.Production
	}
	return err
}

// wait lets at least so many seconds pass, and up to half as many more.
func (b *batch) wait(ctx context.Context, seconds float64) error {
	span := seconds * (1 + b.rng.Float64()/2)
	if !nap.For(ctx, time.Duration(span*float64(time.Second))) {
		return ctx.Err() //nolint:wrapcheck // it is the end
	}
	return nil
}

// do does one thing after the other, until one does not work.
func do(things ...func() error) error {
	for _, thing := range things {
		if err := thing(); err != nil {
			return err
		}
	}
	return nil
}

// live takes the batch from its plan to the schools.
func (b *batch) live(ctx context.Context) error {
	what := nothing
	if b.n%2 == 1 { // every other batch has a trouble, another one each time
		what = trouble(1 + (b.n/2+b.rng.IntN(2))%(int(troubles)-1))
	}
	return do(
		func() error { return b.plan(ctx) },
		func() error { return b.wait(ctx, plannedSeconds) },
		func() error { return b.prepare(ctx) },
		func() error { return b.cook(ctx, what) },
		func() error { return b.check(ctx, what) },
		func() error { return b.leave(ctx, what) },
	)
}

func (b *batch) plan(ctx context.Context) error {
	now := production.At(time.Now())
	portions := 15 + b.rng.IntN(20) // small ones: a day has room for a hundred of them before it is over its cap
	cost := production.Rupiah(portions * 9500)
	return b.took(b.service.Create(ctx, b.by(b.k.crew.head), production.Create{
		ProgrammeID: programme, MenuID: b.menu.id, Day: production.DayOf(now, b.k.zone), PlannedPortions: portions, Wave: b.n%2 + 1,
		PlannedStart: now, PlannedEnd: now.Add(30 * time.Minute), HeadCook: b.k.crew.cook, SupervisorID: b.k.crew.head,
		EstimatedCost: &cost,
	}))
}

// step takes the batch to its next status.
func (b *batch) step(ctx context.Context, user string, t production.Transition) error {
	return b.took(b.service.Transition(ctx, b.by(user), b.p.ID, t))
}

// advance tells how far the work is.
func (b *batch) advance(ctx context.Context, progress int) error {
	progress = max(progress, b.p.Progress)
	return b.took(b.service.Work(ctx, b.by(b.k.crew.cook), b.p.ID, production.Work{Progress: &progress}))
}

func (b *batch) inspect(ctx context.Context, c production.AddCheck) error {
	return b.took(b.service.Check(ctx, b.by(b.k.crew.nutritionist), b.p.ID, c))
}

func (b *batch) prepare(ctx context.Context) error {
	score := 85 + b.rng.IntN(14)
	return do(
		func() error { return b.step(ctx, b.k.crew.cook, production.Transition{To: production.Preparing}) },
		func() error { return b.inventory(ctx) },
		func() error { return b.wait(ctx, preparingSeconds/3) },
		func() error { return b.advance(ctx, 12) },
		func() error {
			return b.inspect(ctx, production.AddCheck{
				Type: production.Hygiene, Parameter: "Kebersihan area dan alat", ActualValue: fmt.Sprint(score), Score: &score,
			})
		},
		func() error { return b.wait(ctx, preparingSeconds/3) },
		func() error { return b.advance(ctx, 22) },
		func() error { return b.wait(ctx, preparingSeconds/3) },
		func() error { return b.step(ctx, b.k.crew.cook, production.Transition{To: production.Cooking}) },
	)
}

// measure reads the core temperature, in tenths of a degree.
func (b *batch) measure(ctx context.Context, celsius production.Celsius) error {
	return b.took(b.service.Reading(ctx, b.by(b.k.crew.cook), b.p.ID, production.AddReading{
		Kind: production.Core, Dish: b.menu.dish, Celsius: celsius, Source: production.Probe,
	}))
}

func (b *batch) cook(ctx context.Context, what trouble) error {
	const readings = 7
	goal := production.Celsius(790 + b.rng.Int32N(80))
	if what == tooCool {
		goal = production.Celsius(705 + b.rng.Int32N(40))
	}
	celsius := production.Celsius(220 + b.rng.Int32N(60))
	for i := int32(1); i <= readings; i++ {
		celsius += (goal - celsius) * production.Celsius(i) / readings
		err := do(
			func() error { return b.wait(ctx, cookingSeconds/readings) },
			func() error { return b.measure(ctx, celsius) },
			func() error { return b.advance(ctx, 30+45*int(i)/readings) },
		)
		if err != nil {
			return err
		}
	}
	portions := b.p.PlannedPortions
	if what == fewer {
		portions = portions * 88 / 100
	}
	done := production.Transition{To: production.QualityCheck, Work: production.Work{ActualPortions: &portions}}
	if err := b.step(ctx, b.k.crew.cook, done); err != nil || what != tooCool {
		return err
	}
	return do( // back to the stove
		func() error { return b.wait(ctx, checkingSeconds/4) },
		func() error { return b.temperature(ctx, celsius) },
		func() error {
			return b.step(ctx, b.k.crew.nutritionist, production.Transition{To: production.Cooking, Reason: "Suhu inti kurang dari 75 °C"})
		},
		func() error { return b.wait(ctx, cookingSeconds/4) },
		func() error { return b.measure(ctx, 815) },
		func() error { return b.step(ctx, b.k.crew.cook, production.Transition{To: production.QualityCheck}) },
	)
}

// temperature is the check of the core temperature that was found.
func (b *batch) temperature(ctx context.Context, found production.Celsius) error {
	return b.inspect(ctx, production.AddCheck{
		Type: production.Temperature, Parameter: "Suhu inti " + b.menu.dish, ExpectedValue: "≥ 75 °C", ActualValue: found.String(),
		Celsius: &found,
	})
}

// check checks the food and releases it, or has it thrown away.
func (b *batch) check(ctx context.Context, what trouble) error {
	safe := what != unsafe
	result := map[bool]string{true: "negatif", false: "positif formalin"}[safe]
	err := do(
		func() error { return b.wait(ctx, checkingSeconds/4) },
		func() error {
			return b.took(b.service.Sample(ctx, b.by(b.k.crew.nutritionist), b.p.ID, production.TakeSample{Place: "Lemari pendingin 1"}))
		},
		func() error { return b.temperature(ctx, *b.p.ActualTemperature) },
		func() error { return b.wait(ctx, checkingSeconds/4) },
		func() error { return b.rate(ctx, production.Taste, "Rasa dan aroma") },
		func() error { return b.rate(ctx, production.Appearance, "Warna dan tekstur") },
		func() error { return b.wait(ctx, checkingSeconds/4) },
		func() error {
			return b.inspect(ctx, production.AddCheck{
				Type: production.Safety, Parameter: "Uji cepat formalin, nitrit, sianida, arsen", ExpectedValue: "negatif",
				ActualValue: result, Passed: &safe,
			})
		},
		func() error { return b.wait(ctx, checkingSeconds/4) },
	)
	if err != nil {
		return err
	}
	thrown := production.Kilograms(20 + b.rng.Int32N(60))
	if what == waste {
		thrown += 100
	}
	if err := b.took(b.service.Work(ctx, b.by(b.k.crew.cook), b.p.ID, production.Work{WasteAmount: &thrown})); err != nil {
		return err
	}
	if safe {
		return do(
			func() error { return b.answer(ctx) },
			func() error {
				return b.step(ctx, b.k.crew.nutritionist, production.Transition{To: production.Completed})
			},
		)
	}
	return b.took(b.service.Cancel(ctx, b.by(b.k.crew.nutritionist), b.p.ID, production.Cancel{
		Reason: "Uji cepat positif formalin; seluruh batch dimusnahkan.",
	}))
}

func (b *batch) rate(ctx context.Context, kind production.CheckType, parameter string) error {
	rating := 3 + b.rng.IntN(3)
	return b.inspect(ctx, production.AddCheck{
		Type: kind, Parameter: parameter, ExpectedValue: "≥ 3", ActualValue: fmt.Sprint(rating), Rating: &rating,
	})
}

// leave drives the trays to the schools, and answers what is still open.
func (b *batch) leave(ctx context.Context, what trouble) error {
	if b.p.Status == production.Completed {
		stands := float64(plannedSeconds)
		if what == standing {
			stands = standingSeconds
		}
		err := do(
			func() error { return b.wait(ctx, stands) },
			func() error {
				return b.took(b.service.Dispatch(ctx, b.by(b.k.crew.driver), b.p.ID, production.RecordDispatch{
					Portions: b.p.ActualPortions, Destination: "SDN 1", Vehicle: "Mobil boks",
				}))
			},
			func() error { return b.deliver(ctx) },
		)
		if err != nil {
			return err
		}
	}
	return do(func() error { return b.wait(ctx, checkingSeconds) }, func() error { return b.answer(ctx) })
}

// answer acknowledges and resolves the alerts of the batch, as a kitchen does that has seen to them.
func (b *batch) answer(ctx context.Context) error {
	now, err := b.records.Batch(ctx, b.k.ID, b.p.ID)
	if err != nil {
		return fmt.Errorf("look at the alerts: %w", err)
	}
	for _, a := range now.Alerts {
		err = do(
			func() error {
				_, err := b.service.Acknowledge(ctx, b.k.request(b.k.crew.head, production.Head), a.ID)
				return err //nolint:wrapcheck // the caller says of what
			},
			func() error { return b.wait(ctx, checkingSeconds/4) },
			func() error {
				_, err := b.service.Resolve(ctx, b.k.request(b.k.crew.head, production.Head), a.ID, "Sudah ditangani oleh kepala dapur")
				return err //nolint:wrapcheck // as above
			},
		)
		if err != nil && !errors.Is(err, production.ErrRefused) { // then it has resolved itself meanwhile
			return err
		}
	}
	return nil
}
