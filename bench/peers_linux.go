package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"kentongan/bench/publish"
)

// peersFolder is where the peers are, seen from the root of the repository, in which the bench is run.
const peersFolder = "bench/peers"

// peered are the scenes that peers take part in.
var peered = []string{"big-room", "spread", "flood"}

// peers returns the programs under bench/peers, or what is missing for one.
func peers(folder string) ([]program, error) {
	installed := filepath.Join(folder, "node_modules")
	node, err := exec.LookPath("node")
	if _, err2 := os.Stat(filepath.Join(installed, "ioredis")); err != nil || err2 != nil {
		return nil, fmt.Errorf("the peers are not installed: make peers does it, and needs Node with npm (%w)", errors.Join(err, err2))
	}
	list := []program{
		peer("node ws", func(*running) {}, node, filepath.Join(folder, "ws.mjs")),
		peer("Socket.IO", func(r *running) {
			r.path = func(tenant int) string {
				return "/socket.io/?EIO=4&transport=websocket&kitchen=" + publish.Tenant(tenant)
			}
			r.hello = "40" // connect, in its protocol
		}, node, filepath.Join(folder, "socketio.mjs")),
	}
	// Not the script in .bin, which needs a step of its installation that npm may have been told to leave out.
	bun, err := filepath.Glob(filepath.Join(installed, "@oven", "bun-*", "bin", "bun"))
	if err != nil || len(bun) == 0 {
		return nil, fmt.Errorf("bun is not installed for this machine: make peers does it (%w)", err)
	}
	return append(list, peer("Bun", func(*running) {}, bun[0], filepath.Join(folder, "bun.mjs"))), nil
}

// peer is a program that takes the arguments of the floor and prints its port as that does. Set makes of a floor's running what differs.
func peer(name string, set func(*running), command ...string) program {
	p := floorProgram(func(args ...string) *exec.Cmd {
		return exec.Command(command[0], append(slices.Clone(command[1:]), args...)...) //nolint:gosec,noctx // ours; ended by its round
	})
	start := p.start
	p.name = name
	p.start = func(ctx context.Context, engine, redisAddress string) (*running, error) {
		r, err := start(ctx, engine, redisAddress)
		if err == nil {
			// A screen is in its room only when JavaScript has had its turn after the upgrade.
			r.settle = time.Second
			set(r)
		}
		return r, err
	}
	return p
}

// printPeers writes one line for each program that took part in the peered scenes with Redis.
func printPeers(w io.Writer, rows []row) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(out, "redis, CPU a delivery\tbig-room\tp99 ms\tspread\tp99 ms\tflood\tp99 ms\tKB a connection\t")
	var names []string
	cells := map[string]*row{}
	for i := range rows {
		r := &rows[i]
		if r.Engine == redis && slices.Contains(peered, r.Scene) {
			cells[r.Program+r.Scene] = r
			if !slices.Contains(names, r.Program) {
				names = append(names, r.Program)
			}
		}
	}
	for _, name := range names {
		line := strings.Builder{}
		line.WriteString(name)
		for _, s := range peered {
			if r := cells[name+s]; r != nil {
				_, _ = fmt.Fprintf(&line, "\t%.1f µs\t%s", r.PerUnit, millis(r.Median.P99))
			} else {
				line.WriteString("\t–\t–")
			}
		}
		kilobytes := "–"
		if r := cells[name+"spread"]; r != nil {
			kilobytes = fmt.Sprintf("%.1f", r.PerConn/1024)
		}
		_, _ = fmt.Fprintf(out, "%s\t%s\t\n", line.String(), kilobytes)
	}
	return out.Flush()
}
