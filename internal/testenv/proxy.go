//go:build unix

package testenv

import (
	"net"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// Proxy starts nginx, haproxy or caddy with args and waits until it accepts connections at address. It ends with the test.
func Proxy(t testing.TB, name, address string, args ...string) {
	t.Helper()
	out := &output{}
	cmd := exec.Command(program(t, name, "/usr/sbin/"+name), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(cmd.Environ(), "HOME="+cmd.Dir, "XDG_CONFIG_HOME="+cmd.Dir, "XDG_DATA_HOME="+cmd.Dir)
	cmd.SysProcAttr = dieWithUs()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, out)
		}
	})
	const patience = time.Minute
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", name, out)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen at %s", name, address)
		}
	}
}

// output keeps the last of what a program wrote.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) Write(p []byte) (int, error) {
	const keep = 16 << 10
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	if len(o.text) > keep {
		o.text = o.text[len(o.text)-keep:]
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}
