package floor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	intakeBytes  = 4 << 20
	requestBytes = 16 << 10
	updates      = "production:updates:"
)

// errUsage says what Twin wants.
var errUsage = errors.New("usage: floor redis HOST PORT | floor lines")

// twin is the state of the floor in Go. One goroutine owns it.
type twin struct {
	epoll, screens, lines, intake int // sockets; -1: none

	tenants map[string]*sockets
	of      map[int]*sockets // by socket, once it is upgraded
	in      []byte           // of the intake connection: [:have] is read and not yet used
	have    int
	request []byte
	frame   []byte
}

type sockets struct{ fds []int }

// Twin serves as the C floor does, with the same arguments, one epoll loop and the same system calls. It prints its ports to
// out and returns only with an error.
func Twin(args []string, out io.Writer) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create epoll: %w", err)
	}
	t := &twin{epoll: epoll, lines: -1, intake: -1, tenants: map[string]*sockets{}, of: map[int]*sockets{},
		in: make([]byte, intakeBytes), request: make([]byte, requestBytes)}
	var port, linesPort int
	if t.screens, port, err = t.listen(); err != nil {
		return err
	}
	switch {
	case len(args) == 3 && args[0] == "redis":
		if err := t.joinRedis(args[1] + ":" + args[2]); err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, port)
	case len(args) == 1 && args[0] == "lines":
		if t.lines, linesPort, err = t.listen(); err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, port, linesPort)
	default:
		return errUsage
	}
	if err != nil {
		return fmt.Errorf("print port: %w", err)
	}
	return t.loop()
}

func (t *twin) loop() error {
	events := make([]unix.EpollEvent, 1024)
	for {
		n, err := unix.EpollWait(t.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for sockets: %w", err)
		}
		for i := range max(n, 0) {
			switch fd := int(events[i].Fd); fd {
			case t.screens, t.lines:
				t.accept(fd)
			case t.intake:
				if err := t.take(); err != nil {
					return err
				}
			default:
				t.fromScreen(fd)
			}
		}
	}
}

// listen opens a port on loopback and returns its socket and number.
func (t *twin) listen() (fd, port int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("create socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, 0, fmt.Errorf("bind: %w", err)
	}
	const backlog = 4096
	if err := unix.Listen(fd, backlog); err != nil {
		return 0, 0, fmt.Errorf("listen: %w", err)
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		return 0, 0, fmt.Errorf("read port: %w", err)
	}
	v4, ok := address.(*unix.SockaddrInet4)
	if !ok {
		return 0, 0, fmt.Errorf("read port: %T is not IPv4", address)
	}
	return fd, v4.Port, t.watch(fd)
}

func (t *twin) watch(fd int) error {
	event := &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)} //nolint:gosec // descriptors are small
	if err := unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, fd, event); err != nil {
		return fmt.Errorf("watch socket: %w", err)
	}
	return nil
}

func (t *twin) joinRedis(address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return errUsage
	}
	if t.intake, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("create socket: %w", err)
	}
	if err := unix.Connect(t.intake, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		return fmt.Errorf("connect to redis: %w", err)
	}
	if _, err := unix.Write(t.intake, []byte("*2\r\n$10\r\nPSUBSCRIBE\r\n$20\r\n"+updates+"*\r\n")); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return t.watch(t.intake)
}

func (t *twin) accept(listener int) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // EAGAIN: all are taken
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		switch {
		case listener == t.lines && t.intake >= 0, t.watch(fd) != nil:
			_ = unix.Close(fd)
		case listener == t.lines:
			t.intake = fd
		}
	}
}

// fromScreen answers an upgrade request. What an upgraded socket says is passed over.
func (t *twin) fromScreen(fd int) {
	n, err := unix.Read(fd, t.request)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if err != nil || n == 0 {
		t.drop(fd)
		return
	}
	if t.of[fd] != nil {
		return
	}
	rest, get := bytes.CutPrefix(t.request[:n], []byte("GET /api/ws/"))
	name, _, found := bytes.Cut(rest, []byte(" "))
	if !get || !found || !bytes.HasSuffix(rest, []byte("\r\n\r\n")) {
		t.drop(fd)
		return
	}
	yes := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	if _, err := unix.Write(fd, yes); err != nil {
		t.drop(fd)
		return
	}
	list := t.tenants[string(name)]
	if list == nil {
		list = &sockets{}
		t.tenants[string(name)] = list
	}
	list.fds = append(list.fds, fd)
	t.of[fd] = list
}

func (t *twin) drop(fd int) {
	if list := t.of[fd]; list != nil {
		for i, other := range list.fds {
			if other == fd {
				list.fds[i] = list.fds[len(list.fds)-1]
				list.fds = list.fds[:len(list.fds)-1]
				break
			}
		}
		delete(t.of, fd)
	}
	_ = unix.Close(fd)
}

func (t *twin) deliver(name, text []byte) {
	list := t.tenants[string(name)]
	if list == nil {
		return
	}
	t.frame = append(t.frame[:0], 0x81)
	switch {
	case len(text) < 126:
		t.frame = append(t.frame, byte(len(text))) //nolint:gosec // below 126
	case len(text) < 1<<16:
		t.frame = binary.BigEndian.AppendUint16(append(t.frame, 126), uint16(len(text))) //nolint:gosec // below 65,536
	default:
		t.frame = binary.BigEndian.AppendUint64(append(t.frame, 127), uint64(len(text)))
	}
	t.frame = append(t.frame, text...)
	for i := 0; i < len(list.fds); {
		// A socket that does not take a whole frame is out of step for good. Its end shows as a loss.
		if n, err := unix.Write(list.fds[i], t.frame); err != nil || n < len(t.frame) {
			t.drop(list.fds[i]) // puts the last one in its place
			continue
		}
		i++
	}
}

// take reads from the intake connection and delivers all messages that are whole.
func (t *twin) take() error {
	n, err := unix.Read(t.intake, t.in[t.have:])
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil || n == 0 {
		if t.lines < 0 {
			return errors.New("redis has gone")
		}
		_ = unix.Close(t.intake)
		t.intake, t.have = -1, 0
		return nil
	}
	t.have += n
	rest := t.in[:t.have]
	for whole := true; whole; {
		if t.lines >= 0 {
			rest, whole = t.line(rest)
		} else if rest, whole, err = t.push(rest); err != nil {
			return err
		}
	}
	if len(rest) == len(t.in) {
		return errors.New("a message is longer than the buffer")
	}
	t.have = copy(t.in, rest)
	return nil
}

func (t *twin) line(data []byte) (rest []byte, whole bool) {
	text, rest, whole := bytes.Cut(data, []byte("\n"))
	if !whole {
		return data, false
	}
	if name, message, ok := bytes.Cut(text, []byte(" ")); ok {
		t.deliver(name, message)
	}
	return rest, true
}

// push reads one push of Redis: "*N", then N bulk strings or integers.
func (t *twin) push(data []byte) (rest []byte, whole bool, err error) {
	count, at, ok := number(data, 0, '*')
	if !ok {
		if len(data) > 0 && data[0] != '*' {
			return nil, false, fmt.Errorf("redis says %.80q", data)
		}
		return data, false, nil
	}
	var parts [4][]byte
	for i := range count {
		size, next, ok := number(data, at, '$')
		if !ok {
			if _, next, ok = number(data, at, ':'); !ok {
				return data, false, nil
			}
			at = next
			continue
		}
		if len(data) < next+size+2 {
			return data, false, nil
		}
		if i < len(parts) {
			parts[i] = data[next : next+size]
		}
		at = next + size + 2
	}
	if name, ok := bytes.CutPrefix(parts[2], []byte(updates)); ok && string(parts[0]) == "pmessage" {
		t.deliver(name, parts[3])
	}
	return data[at:], true, nil
}

// number reads a line of kind and digits at data[at:], and returns where the next one starts.
func number(data []byte, at int, kind byte) (value, next int, ok bool) {
	if at >= len(data) || data[at] != kind {
		return 0, 0, false
	}
	end := bytes.IndexByte(data[at:], '\n')
	if end < 2 {
		return 0, 0, false
	}
	value, err := strconv.Atoi(string(data[at+1 : at+end-1]))
	return value, at + end + 1, err == nil && value >= 0
}
