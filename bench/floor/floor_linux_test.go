package floor_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kentongan/bench/drive"
	"kentongan/bench/floor"
	"kentongan/bench/mark"
	"kentongan/bench/publish"
	"kentongan/internal/process"
	"kentongan/internal/testenv"
)

const roleEnv = "BENCH_TEST_ROLE"

// TestMain makes this binary a driver or the Go twin when a test starts it as one.
func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(roleEnv) {
	case "driver":
		err = drive.Run(os.Stdin, os.Stdout)
	case "twin":
		err = floor.Twin(os.Args[1:], os.Stdout)
	default:
		goleak.VerifyTestMain(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func self(role string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...) // this very binary, ended by the test
	cmd.Env = []string{roleEnv + "=" + role, "GORACE=atexit_sleep_ms=0"}
	return cmd
}

// programs returns both floors.
func programs(t *testing.T) map[string]func(args ...string) *exec.Cmd {
	t.Helper()
	path, err := floor.Compile(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return map[string]func(args ...string) *exec.Cmd{
		"C":  func(args ...string) *exec.Cmd { return exec.Command(path, args...) },
		"Go": func(args ...string) *exec.Cmd { return self("twin", args...) },
	}
}

// start starts a floor and returns the ports that it prints.
func start(t *testing.T, cmd *exec.Cmd) []string {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	child, err := process.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Stop(5 * time.Second) })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(line)
}

// crowd connects screens, each to its tenant.
func crowd(t *testing.T, port string, tenants, each int) *drive.Fleet {
	t.Helper()
	plan := drive.Plan{Addresses: []string{"127.0.0.1:" + port}}
	for i := range tenants * each {
		plan.Screens = append(plan.Screens, drive.Screen{Tenant: i % tenants, Path: "/api/ws/" + publish.Tenant(i%tenants)})
	}
	fleet := drive.NewFleet(func() *exec.Cmd { return self("driver") })
	t.Cleanup(fleet.Close)
	if _, err := fleet.Open(plan); err != nil {
		t.Fatal(err)
	}
	return fleet
}

// await waits until the driver has counted what is wanted, and nothing else.
func await(t *testing.T, fleet *drive.Fleet, want drive.Counts) {
	t.Helper()
	var counts drive.Counts
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var err error
		if counts, err = fleet.Counts(); err != nil {
			t.Fatal(err)
		}
		counts.Bytes, counts.Why, counts.LastNs = 0, "", 0
		if counts == want {
			return
		}
	}
	t.Fatalf("got %+v, want %+v", counts, want)
}

func TestDeliversToTheTenantsScreens(t *testing.T) {
	const tenants, each = 20, 3
	for name, program := range programs(t) {
		t.Run(name+"/redis", func(t *testing.T) {
			address := testenv.Redis(t)
			host, port, _ := net.SplitHostPort(address)
			fleet := crowd(t, start(t, program("redis", host, port))[0], tenants, each)
			door, err := publish.Redis(address, "")
			if err != nil {
				t.Fatal(err)
			}
			deliver(t, fleet, door, tenants, each)
		})
		t.Run(name+"/lines", func(t *testing.T) {
			ports := start(t, program("lines"))
			fleet := crowd(t, ports[0], tenants, each)
			door, err := publish.Lines("127.0.0.1:" + ports[1])
			if err != nil {
				t.Fatal(err)
			}
			deliver(t, fleet, door, tenants, each)
		})
	}
}

// deliver publishes messages whose frames have headers of both lengths that a marked message can have.
func deliver(t *testing.T, fleet *drive.Fleet, door publish.Door, tenants, each int) {
	t.Helper()
	var want drive.Counts
	for _, size := range []int{300, 70_000} {
		p, err := publish.New(door, publish.Load{Tenants: tenants, Rate: 600_000 / size, Bytes: size}, mark.Now)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := p.Run(t.Context(), 400*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if size == 300 {
			want.Delivered = sent.Messages * each
		} else {
			want.Twice = sent.Messages * each // a new publisher numbers from 1, so these look old
		}
		await(t, fleet, want)
	}
	if err := door.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTwinWantsItsArguments(t *testing.T) {
	if err := floor.Twin([]string{"redis"}, io.Discard); err == nil {
		t.Fatal("a floor without an address started")
	}
}
