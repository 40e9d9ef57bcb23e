//go:build unix

package e2e

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"kentongan/internal/testenv/browser"
)

// The first command of the README: three kitchens cook, and a printed link signs in.
func TestDemoLinkShowsAKitchenAtWork(t *testing.T) {
	t.Parallel()
	demo := start(t, nil, "demo")
	link := ""
	eventually(t, "a link to sign in is printed", func() bool {
		link = regexp.MustCompile(`http://\S+/signin\?\S+`).FindString(demo.output())
		return link != ""
	})
	s := &screen{t, browser.Profile(t, browser.Shared(t))}
	s.open(link)
	s.waitText("Terhubung")
	s.wait("document.querySelectorAll('.tile').length > 0")
	host, _, _ := strings.Cut(link, "/signin?")
	s.open(host + "/live")
	s.waitText("Terhubung")
	s.wait("document.querySelectorAll('#productions > li').length > 0")
	s.wait("document.querySelectorAll('#log > li').length > 2") // and it goes on
}

// run runs a command of the binary against s to its end and returns what it wrote to its standard output.
func (s *server) run(args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), binary, append(args, "--server", "http://"+s.Addr, "--api-key", apiKey)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("kentongan %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}

func TestTailPrintsWhatPublishSends(t *testing.T) {
	t.Parallel()
	srv := serve(t)
	tail := exec.CommandContext(t.Context(), binary, "tail", "production:updates:sppg_7", "--server", "http://"+srv.Addr, "--api-key", apiKey)
	out, err := tail.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	// Tail does not say when it listens, so that something is published until it prints something.
	var first string
	eventually(t, "tail prints what was published", func() bool {
		srv.run("publish", "production:updates:sppg_7", update("from-the-command"))
		select {
		case first = <-lines:
			return true
		default:
			return false
		}
	})
	var printed struct{ Data json.RawMessage }
	if err := json.Unmarshal([]byte(first), &printed); err != nil || string(printed.Data) != update("from-the-command") {
		t.Errorf("tail printed %s (%v); want the published data in it", first, err)
	}
	if err := tail.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for range lines { // until it ends
	}
	const interrupted = 130
	if err := tail.Wait(); tail.ProcessState.ExitCode() != interrupted {
		t.Errorf("tail ended with %v; want exit code %d", err, interrupted)
	}
}
