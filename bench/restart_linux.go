package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kentongan/bench/drive"
	"kentongan/bench/publish"
)

// restart ends one of two nodes on one Redis while messages come, and starts it anew: drained, as in an update, or killed. Its clients
// go to the other node, as behind a balancer. Messages come in as plain PUBLISH, which both nodes hear.
type restart struct {
	kitchens, each int
	rate           int           // messages a second, to all kitchens together
	drain          time.Duration // how long the node may take for its end; zero: the server's default
	kill           bool          // it gets no time at all
	around         time.Duration // of messages before it, and after all are back
}

var (
	fullRestart  = restart{kitchens: 200, each: 50, rate: 100, around: 3 * time.Second}
	quickRestart = restart{kitchens: 40, each: 25, rate: 50, drain: 5 * time.Second, around: time.Second}
)

// killed returns s without a drain.
func (s restart) killed() restart {
	s.kill = true
	return s
}

func (s restart) run(ctx context.Context, st *stage) (err error) {
	how := "drained (SIGTERM)"
	if s.kill {
		how = "killed (SIGKILL)"
	}
	clients := s.kitchens * s.each
	st.loads("%d clients of kentongan.v1 in %d kitchens on two nodes, %d messages/s, one node %s and started anew",
		clients, s.kitchens, s.rate, how)
	const origin = "https://dapur.example.id" // of one page in front of both nodes
	settings := []string{"KENTONGAN_ALLOWED_ORIGINS=" + origin}
	if s.drain > 0 {
		settings = append(settings, "KENTONGAN_DRAIN_TIME="+s.drain.String())
	}
	leaver, err := st.start(ctx, settings...)
	if err != nil {
		return err
	}
	stayer, err := st.start(ctx, settings...)
	if err != nil {
		return err
	}
	p, err := plan(drive.V1, 0, s.kitchens, s.each, leaver, stayer)
	if err != nil {
		return err
	}
	p.Origin, p.Most = origin, mostCautious
	fleet, err := st.open(p)
	if err != nil {
		return err
	}
	door, err := stayer.door()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, door.Close()) }()
	publisher, err := publish.New(door, publish.Load{Tenants: s.kitchens, Rate: s.rate, Bytes: messageBytes}, now)
	if err != nil {
		return err
	}
	sent, err := publishing(ctx, publisher, func(ctx context.Context) error { return s.end(ctx, st, fleet, leaver, clients/2) })
	if err != nil {
		return err
	}
	expected := sent.Messages * s.each
	counts, err := st.patient(ctx, fleet, expected, 0)
	if err != nil {
		return err
	}
	st.delivered(counts, expected)
	return s.tell(st, fleet, counts, clients/2)
}

// end ends a node and starts it anew, and returns some time after its clients are back.
func (s restart) end(ctx context.Context, st *stage, fleet *drive.Fleet, leaver *running, clients int) error {
	const patience = 30 * time.Second // beyond what a drain takes by default
	if err := sleep(ctx, s.around); err != nil {
		return err
	}
	if s.kill {
		leaver.child.Kill()
	} else {
		leaver.child.Stop(patience)
	}
	st.drop(leaver)
	if _, err := st.add(leaver.again(ctx)); err != nil {
		return fmt.Errorf("start the node anew: %w", err)
	}
	for deadline := time.Now().Add(patience); ; {
		counts, err := fleet.Counts()
		if err != nil {
			return err
		}
		if counts.Down == 0 && counts.Returned >= clients {
			return sleep(ctx, s.around)
		}
		if time.Now().After(deadline) {
			st.fails(fmt.Sprintf("%d clients are not back after %v, %d returned", counts.Down, patience, counts.Returned))
			return nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// tell adds how the clients came back.
func (s restart) tell(st *stage, fleet *drive.Fleet, counts drive.Counts, clients int) error {
	returns, err := fleet.Returns()
	if err != nil {
		return err
	}
	const soon = 5 * time.Second
	back := returns.Away.Within(soon) * over(float64(returns.Away.Count()), float64(max(clients, counts.Returned)))
	st.report.add("clients that had to move", float64(clients), "")
	st.report.add("back within 5 s", 100*back, "%", atLeast(100))
	st.report.spans("away", returns.Away)
	highest, mean := busiest(returns.Slots)
	st.report.add("connects/s in the mean", mean, "/s")
	st.report.add("connects in the fullest second", float64(highest), "")
	if s.kill { // nobody can spread them
		st.report.add("fullest second over mean", over(float64(highest), mean), "×")
	} else {
		st.report.add("fullest second over mean", over(float64(highest), mean), "×", atMost(2))
	}
	st.report.add("connects refused", float64(counts.Failures), "")
	return nil
}

// busiest returns how many connects came in the fullest second, whenever that began, and how many a second in the mean from the first to
// the last of them. What lasts less than a second counts as one.
func busiest(slots []int) (highest int, mean float64) {
	const second = int(time.Second / drive.ReturnSlot)
	first, last, total, window := -1, 0, 0, 0
	for i, n := range slots {
		if n > 0 {
			if first < 0 {
				first = i
			}
			last = i
		}
		total += n
		window += n
		if i >= second {
			window -= slots[i-second]
		}
		highest = max(highest, window)
	}
	if first < 0 {
		return 0, 0
	}
	return highest, float64(total) * float64(second) / float64(max(last-first+1, second))
}

// sleep waits, but not beyond ctx.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// mostCautious is how many clients of kentongan.v1 one driver holds, where their latency counts.
const mostCautious = 2500
