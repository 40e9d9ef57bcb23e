package drive

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"kentongan/bench/latency"
	"kentongan/bench/mark"
)

const (
	readBytes     = 256 << 10 // one buffer for all reads; a screen that fell behind is read in few calls
	defaultWindow = 128
	wakeIndex     = -1 // the epoll entry of the command wake-up
)

// crowd is the state of one driver process. Its loop goroutine owns all of it but lines, which it shares with the reader of
// commands.
type crowd struct {
	epoll, wake int
	plan        *Plan                // nil before it has come
	to          []unix.SockaddrInet4 // the plan's addresses
	screens     []screen
	buffer      []byte
	scratch     []byte
	inflater    inflater
	counts      Counts
	up          int // screens that are connected
	latency     *latency.Histogram
	returns     Returns
	since       int64    // when the slots of returns begin
	opening     *opening // nil when none is under way
	flying      int      // connects that are begun, neither up nor refused
	coming      []int    // screens that come back as soon as the window lets them
	timers      timers
	live        bool // lines are cut now and then
	held        bool // nobody comes back
	out         *json.Encoder

	mu    sync.Mutex
	lines []command // read, not yet done
	ended bool      // no more will come
}

// Run plays a crowd: it reads commands from in until it ends, and answers to out. It returns the error that made it give
// up, if any.
func Run(in io.Reader, out io.Writer) error {
	// The thread is the loop's own: a hand-over between threads at each epoll_wait would cost more than the wait.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create epoll: %w", err)
	}
	defer func() { _ = unix.Close(epoll) }()
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("create eventfd: %w", err)
	}
	defer func() { _ = unix.Close(wake) }()
	c := &crowd{epoll: epoll, wake: wake, buffer: make([]byte, readBytes), out: json.NewEncoder(out)}
	c.reset(mark.Now())
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeIndex}); err != nil {
		return fmt.Errorf("watch commands: %w", err)
	}
	var reader sync.WaitGroup
	reader.Go(func() { c.read(in) })
	err = c.loop()
	for i := range c.screens {
		c.screens[i].close()
	}
	if err == nil {
		reader.Wait() // in has ended; after an error it may not have, and the process ends anyway
	}
	return err
}

// read hands each command to the loop.
func (c *crowd) read(in io.Reader) {
	lines := json.NewDecoder(bufio.NewReaderSize(in, 1<<20))
	for {
		var line command
		err := lines.Decode(&line)
		c.mu.Lock()
		if err != nil {
			c.ended = true
		} else {
			c.lines = append(c.lines, line)
		}
		c.mu.Unlock()
		one := [8]byte{0: 1}
		_, _ = unix.Write(c.wake, one[:]) // EAGAIN would say that the loop has been woken 2⁶⁴ times
		if err != nil {
			return
		}
	}
}

// loop serves sockets and commands until the commands end.
func (c *crowd) loop() error {
	events := make([]unix.EpollEvent, 1024)
	for {
		n, err := unix.EpollWait(c.epoll, events, c.waitMS())
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for sockets: %w", err)
		}
		for i := range max(n, 0) {
			if events[i].Fd != wakeIndex {
				c.ready(int(events[i].Fd))
				continue
			}
			if more, err := c.obey(); !more {
				return err
			}
		}
		if err := c.goOn(); err != nil {
			return err
		}
		c.moderate()
	}
}

// moderate leaves for a moment what comes next, once all screens are up.
func (c *crowd) moderate() {
	if c.plan == nil || c.plan.Moderate <= 0 || c.opening != nil {
		return
	}
	pause := unix.NsecToTimespec(int64(c.plan.Moderate))
	_ = unix.Nanosleep(&pause, nil) // a signal makes it shorter
}

// obey does the commands that have come. It returns false when no more will come, or the answer cannot be given.
func (c *crowd) obey() (more bool, err error) {
	var count [8]byte
	_, _ = unix.Read(c.wake, count[:])
	c.mu.Lock()
	lines, ended := c.lines, c.ended
	c.lines = nil
	c.mu.Unlock()
	for _, line := range lines {
		reply := c.do(line)
		if reply == nil {
			continue // it comes when the plan is done
		}
		if err := c.out.Encode(reply); err != nil {
			return false, fmt.Errorf("answer: %w", err)
		}
	}
	return !ended, nil
}

// do does one command. A nil answer means that it comes later.
func (c *crowd) do(line command) *answer {
	switch line.Act {
	case actOpen:
		return c.begin(line.Plan)
	case actReset:
		c.reset(line.Since)
		return &answer{}
	case actCount:
		c.counts.Down = len(c.screens) - c.up
		return &answer{Counts: &c.counts}
	case actLatency:
		return &answer{Latency: c.latency}
	case actReturns:
		return &answer{Returns: &c.returns}
	}
	if c.plan == nil || c.plan.Manner == Bare {
		return &answer{Err: fmt.Sprintf("unknown act %q, or one for screens that come back", line.Act)}
	}
	switch line.Act {
	case actLive:
		c.beginLife()
	case actCut:
		c.cutAll()
	case actBack:
		c.backAll()
	default:
		return &answer{Err: fmt.Sprintf("unknown act %q", line.Act)}
	}
	return &answer{}
}

// reset forgets what was counted.
func (c *crowd) reset(since int64) {
	c.counts, c.latency, c.since = Counts{}, new(latency.Histogram), since
	c.returns = Returns{Away: new(latency.Histogram)}
}
