package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// errNotTold says that the admin listener does not tell a figure.
var errNotTold = errors.New("the admin listener does not tell")

// client asks admin listeners. A CPU profile takes as long as its window.
var client = &http.Client{Timeout: 2 * time.Minute}

// ask fetches a page of an admin listener and gives its lines to each until that returns false.
func ask(ctx context.Context, url string, each func(line string) bool) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask admin listener: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask admin listener: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask admin listener for %s: %s", url, resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if !each(lines.Text()) {
			return nil
		}
	}
	return lines.Err()
}

// goroutines returns how many goroutines the server with that admin listener has.
func goroutines(ctx context.Context, admin string) (int, error) {
	count, err := 0, errNotTold
	asked := ask(ctx, admin+"/debug/pprof/goroutine?debug=1", func(line string) bool {
		if text, found := strings.CutPrefix(line, "goroutine profile: total "); found {
			count, err = strconv.Atoi(text)
		}
		return false
	})
	return count, errors.Join(asked, err)
}

// allocations returns how many objects the server has allocated since its start.
func allocations(ctx context.Context, admin string) (float64, error) {
	return metric(ctx, admin, "go_memstats_mallocs_total")
}

// metric returns one of the server's figures that has no labels.
func metric(ctx context.Context, admin, name string) (float64, error) {
	value, err := 0.0, errNotTold
	asked := ask(ctx, admin+"/metrics", func(line string) bool {
		text, found := strings.CutPrefix(line, name+" ")
		if found {
			value, err = strconv.ParseFloat(text, 64)
		}
		return !found
	})
	return value, errors.Join(asked, err)
}

// counters returns the server's own figures that are not zero, a line each, or why they cannot be had.
func counters(ctx context.Context, admin string) string {
	var text strings.Builder
	err := ask(ctx, admin+"/metrics", func(line string) bool {
		own := strings.HasPrefix(line, "kentongan_") && !strings.Contains(line, "_bucket{")
		if own && !strings.HasSuffix(line, " 0") {
			text.WriteString(line + "\n")
		}
		return true
	})
	if err != nil {
		text.WriteString(err.Error() + "\n")
	}
	return text.String()
}

// profile saves a profile of the server: "profile" (of the CPU, for that long) or, at once, "heap", "mutex", "goroutine".
func profile(ctx context.Context, admin, what string, duration time.Duration, file string) error {
	url := admin + "/debug/pprof/" + what
	if duration > 0 {
		url += "?seconds=" + strconv.Itoa(int(duration.Seconds()))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("profile %s: %s", what, resp.Status)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return fmt.Errorf("save profile: %w", err)
	}
	out, err := os.Create(file) //nolint:gosec // where the user wants it
	if err != nil {
		return fmt.Errorf("save profile: %w", err)
	}
	_, err = io.Copy(out, resp.Body)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("save profile: %w", err)
	}
	return nil
}
