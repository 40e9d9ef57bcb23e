package drive

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"kentongan/bench/latency"
	"kentongan/bench/mark"
)

// opening is the first connects of a plan, under way.
type opening struct {
	begun   int
	done    int // up or refused
	started time.Time
	result  Opened
}

// begin starts a plan. A nil answer means that it comes later.
func (c *crowd) begin(plan *Plan) *answer {
	switch {
	case plan == nil:
		return &answer{Err: "open without a plan"}
	case c.plan != nil:
		return &answer{Err: "a driver opens one plan"}
	case len(plan.Screens) > MaxScreens:
		return &answer{Err: fmt.Sprintf("more than %d screens in one driver", MaxScreens)}
	case len(plan.Addresses) == 0:
		return &answer{Err: "no address"}
	}
	c.to = nil
	for _, text := range plan.Addresses {
		to, err := netip.ParseAddrPort(text)
		if err != nil || !to.Addr().Is4() {
			return &answer{Err: fmt.Sprintf("address %q is not IPv4:port", text)}
		}
		c.to = append(c.to, unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	}
	if plan.Behind || plan.Manner == Loris || plan.Manner == Deaf || plan.Manner == Knock {
		stepBehind()
	}
	if plan.Window == 0 {
		plan.Window = defaultWindow
	}
	c.plan = plan
	c.opening = &opening{started: time.Now(), result: Opened{Latency: new(latency.Histogram)}}
	c.screens = make([]screen, len(plan.Screens))
	for i := range plan.Screens {
		c.screens[i] = screen{fd: -1, tenant: plan.Screens[i].Tenant, to: (plan.Source + i) % len(c.to)}
		if plan.Manner != Bare {
			c.screens[i].trip = &trip{journey: journey{epoch: plan.Screens[i].Epoch}}
		}
	}
	if plan.Manner == Knock {
		return c.beginKnocking()
	}
	return nil
}

// stepBehind gives this thread, which is the loop's own, a tenth of the weight that it had, and no realtime priority. Attackers have
// machines of their own; here they share the processors with those that they are to disturb by way of the server alone. A kernel that
// does not allow it leaves things as they are.
func stepBehind() {
	const behind = 10
	if now, err := unix.SchedGetAttr(0, 0); err == nil {
		_ = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: now.Nice + behind}, 0)
	}
}

// waitMS returns how long the loop may wait for sockets: until the next timer, and while connects are to be begun by the clock, no
// more than a millisecond.
func (c *crowd) waitMS() int {
	wait := c.timers.waitMS(mark.Now())
	if o := c.opening; o != nil && o.begun < len(c.screens) && c.flying < c.plan.Window && wait != 0 {
		return 1
	}
	return wait
}

// goOn does what is due and begins the connects that may begin, and answers when the plan is done.
func (c *crowd) goOn() error {
	c.tick(mark.Now())
	c.come()
	o := c.opening
	if o == nil {
		return nil
	}
	due := len(c.screens)
	if c.plan.Rate > 0 {
		due = min(due, int(time.Since(o.started).Seconds()*float64(c.plan.Rate))+1)
	}
	for o.begun < due && c.flying < c.plan.Window {
		o.begun++
		c.connect(o.begun - 1)
	}
	if o.done < len(c.screens) {
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
func (c *crowd) connect(index int) {
	c.flying++
	if err := c.dial(index); err != nil {
		c.refused(index, err.Error())
	}
}

func (c *crowd) dial(index int) error {
	s := &c.screens[index]
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("create socket: %w", err)
	}
	s.fd, s.begun, s.state = fd, mark.Now(), connecting
	// The port is chosen at connect, when the whole address pair is known; at bind it would be taken from all pairs.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	// Closing resets, so that no port rests for a minute in TIME_WAIT and is missing in the next round. It is also what a line
	// that breaks looks like, more than a polite end does.
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	if c.plan.Manner == Deaf {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, deafBuffer)
		// The segments of loopback have 64 KB, from which the kernel makes the server's send buffer 4 MB. Nobody out there has that.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, segment)
	}
	from := 1 + (c.plan.Source+index)/screensPerSource
	source := &unix.SockaddrInet4{Addr: [4]byte{127, 0, byte(from >> 8), byte(from)}} //nolint:gosec // as meant
	if err := unix.Bind(fd, source); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Connect(fd, &c.to[s.to]); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connect: %w", err)
	}
	event := &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(index)} //nolint:gosec // below MaxScreens
	if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, fd, event); err != nil {
		return fmt.Errorf("watch socket: %w", err)
	}
	return nil
}

// watch says of which events of a screen's socket epoll tells from now on.
func (c *crowd) watch(index int, events uint32) error {
	event := &unix.EpollEvent{Events: events, Fd: int32(index)} //nolint:gosec // below MaxScreens
	if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_MOD, c.screens[index].fd, event); err != nil {
		return fmt.Errorf("watch socket: %w", err)
	}
	return nil
}

// opened counts a screen that is connected: its upgrade was answered with 101.
func (c *crowd) opened(index int) {
	s := &c.screens[index]
	s.state = open
	s.turn++
	c.up++
	c.flying--
	if c.plan.Manner == Loris || c.plan.Manner == Deaf {
		c.set(index, toDrip, time.Duration(c.chance(index)*float64(attackEvery)))
	}
	if s.known {
		c.returned(index)
		return
	}
	s.known = true
	o := c.opening
	o.done++
	o.result.Up++
	o.result.Latency.Record(time.Duration(mark.Now() - s.begun))
}

// refused counts a screen that does not come up, for now or for ever.
func (c *crowd) refused(index int, why string) {
	s := &c.screens[index]
	s.close()
	s.turn++
	c.flying--
	if s.known {
		c.failed(index, why)
		return
	}
	o := c.opening
	o.done++
	o.result.Refused++
	if o.result.Why == "" {
		o.result.Why = why
	}
}
