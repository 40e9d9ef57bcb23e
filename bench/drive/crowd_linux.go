package drive

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"time"

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
	screens     []screen
	buffer      []byte
	scratch     []byte
	inflater    inflater
	counts      Counts
	latency     *latency.Histogram
	opening     *opening // nil when no plan is under way
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
	c := &crowd{epoll: epoll, wake: wake, buffer: make([]byte, readBytes), latency: new(latency.Histogram), out: json.NewEncoder(out)}
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
		n, err := unix.EpollWait(c.epoll, events, c.opening.waitMS())
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
	}
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
		reply := &answer{}
		switch line.Act {
		case actOpen:
			reply = c.begin(line.Plan)
		case actReset:
			c.counts = Counts{}
			c.latency = new(latency.Histogram)
			reply.Counts = &c.counts
		case actCount:
			reply.Counts = &c.counts
		case actLatency:
			reply.Latency = c.latency
		default:
			reply.Err = fmt.Sprintf("unknown act %q", line.Act)
		}
		if reply == nil {
			continue // it comes when the plan is done
		}
		if err := c.out.Encode(reply); err != nil {
			return false, fmt.Errorf("answer: %w", err)
		}
	}
	return !ended, nil
}

// opening is a plan under way.
type opening struct {
	plan    *Plan
	to      unix.SockaddrInet4
	first   int // index in crowd.screens of the plan's first screen
	begun   int
	flying  int // begun, neither up nor refused
	started time.Time
	result  Opened
}

// begin starts a plan. A nil answer means that it comes later.
func (c *crowd) begin(plan *Plan) *answer {
	switch {
	case plan == nil:
		return &answer{Err: "open without a plan"}
	case c.opening != nil:
		return &answer{Err: "the plan before is still under way"}
	case len(c.screens)+len(plan.Screens) > MaxScreens:
		return &answer{Err: fmt.Sprintf("more than %d screens in one driver", MaxScreens)}
	}
	to, err := netip.ParseAddrPort(plan.Address)
	if err != nil || !to.Addr().Is4() {
		return &answer{Err: fmt.Sprintf("address %q is not IPv4:port", plan.Address)}
	}
	if plan.Window == 0 {
		plan.Window = defaultWindow
	}
	c.opening = &opening{plan: plan, to: unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()},
		first: len(c.screens), started: time.Now(), result: Opened{Latency: new(latency.Histogram)}}
	c.screens = append(c.screens, make([]screen, len(plan.Screens))...)
	for i := range plan.Screens {
		c.screens[c.opening.first+i] = screen{fd: -1, tenant: plan.Screens[i].Tenant}
	}
	return nil
}

// waitMS returns how long the loop may wait for sockets: while connects are to be begun by the clock, no more than a
// millisecond.
func (o *opening) waitMS() int {
	if o == nil || o.begun == len(o.plan.Screens) || o.flying >= o.plan.Window {
		return -1
	}
	return 1
}

// goOn begins the connects that are due, and answers when the plan is done.
func (c *crowd) goOn() error {
	o := c.opening
	if o == nil {
		return nil
	}
	due := len(o.plan.Screens)
	if o.plan.Rate > 0 {
		due = min(due, int(time.Since(o.started).Seconds()*float64(o.plan.Rate))+1)
	}
	for o.begun < due && o.flying < o.plan.Window {
		index := o.first + o.begun
		o.begun++
		o.flying++
		if err := c.connect(index); err != nil {
			c.refused(index, err.Error())
		}
	}
	if o.begun < len(o.plan.Screens) || o.flying > 0 {
		return nil
	}
	o.result.TookNs = int64(time.Since(o.started))
	c.opening = nil
	if err := c.out.Encode(answer{Opened: &o.result}); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// connect begins the connection of one screen.
func (c *crowd) connect(index int) error {
	o, s := c.opening, &c.screens[index]
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("create socket: %w", err)
	}
	s.fd, s.begun = fd, mark.Now()
	// The port is chosen at connect, when the whole address pair is known; at bind it would be taken from all pairs.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	// Closing resets, so that no port rests for a minute in TIME_WAIT and is missing in the next round.
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	from := 1 + (o.plan.Source+index-o.first)/screensPerSource
	source := &unix.SockaddrInet4{Addr: [4]byte{127, 0, byte(from >> 8), byte(from)}} //nolint:gosec // as meant
	if err := unix.Bind(fd, source); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Connect(fd, &o.to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connect: %w", err)
	}
	event := &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(index)} //nolint:gosec // below MaxScreens
	if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, fd, event); err != nil {
		return fmt.Errorf("watch socket: %w", err)
	}
	return nil
}

// up counts a screen whose upgrade was answered with 101.
func (c *crowd) up(s *screen) {
	o := c.opening
	s.state = open
	o.flying--
	o.result.Up++
	o.result.Latency.Record(time.Duration(mark.Now() - s.begun))
}

// refused counts a screen that will not come up.
func (c *crowd) refused(index int, why string) {
	o := c.opening
	c.screens[index].close()
	o.flying--
	o.result.Refused++
	if o.result.Why == "" {
		o.result.Why = why
	}
}
