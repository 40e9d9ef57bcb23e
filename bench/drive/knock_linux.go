package drive

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kentongan/bench/latency"
	"kentongan/bench/mark"
)

// patience is how long a knock may be unanswered. One that is when the knocking ends is a failure.
const patience = 10 * time.Second

// beginKnocking begins a plan of Knock: all are outside, and wait for actBack.
func (c *crowd) beginKnocking() *answer {
	for i := range c.screens {
		c.screens[i].known = true
	}
	c.held = true
	c.opening = nil
	return &answer{Opened: &Opened{Up: len(c.screens), Latency: new(latency.Histogram)}}
}

// knocked takes the head of the answer to a knock, and leaves.
func (c *crowd) knocked(index int, head []byte) {
	s := &c.screens[index]
	wait := max(c.plan.Pause, time.Millisecond)
	switch status, after := statusOf(head); {
	case status == http.StatusSwitchingProtocols:
		c.counts.Entered++
	case status == http.StatusServiceUnavailable && after > 0:
		c.counts.Full++
		c.latency.Record(time.Duration(mark.Now() - s.begun))
		if c.plan.Pause == 0 {
			wait = after
		}
	default:
		c.refused(index, fmt.Sprintf("answered with %.300q", head))
		return
	}
	s.close()
	s.turn++
	s.trip.failures = 0
	c.flying--
	if !c.held {
		// They spread by themselves, as clients do: from half to one and a half of it.
		c.set(index, toCome, wait/2+time.Duration(c.chance(index)*float64(wait)))
	}
}

// breakOff ends a knock that is not answered yet.
func (c *crowd) breakOff(index int) {
	s := &c.screens[index]
	if late := time.Duration(mark.Now() - s.begun); late > patience {
		c.counts.Failures++
		c.note(fmt.Sprintf("no answer within %v", patience))
	}
	s.close()
	s.turn++
	c.flying--
}

// statusOf reads a status and what Retry-After says out of the head of an answer; zero: it is not there.
func statusOf(head []byte) (status int, after time.Duration) {
	line, lines, _ := bytes.Cut(head, []byte("\r\n"))
	if _, rest, ok := bytes.Cut(line, []byte("HTTP/1.1 ")); ok {
		code, _, _ := strings.Cut(string(rest), " ")
		status, _ = strconv.Atoi(code) // what is no number is no status
	}
	for field := range bytes.SplitSeq(lines, []byte("\r\n")) {
		name, value, _ := bytes.Cut(field, []byte(":"))
		if bytes.EqualFold(name, []byte("Retry-After")) {
			seconds, _ := strconv.Atoi(string(bytes.TrimSpace(value))) // a date is not what this server sends
			after = time.Duration(seconds) * time.Second
		}
	}
	return status, after
}
