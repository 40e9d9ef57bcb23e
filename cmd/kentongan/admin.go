package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"kentongan/config"
)

// adminFlags are the flags of the commands that talk to the admin listener of a running server.
type adminFlags struct {
	fileFlag
	Admin string `help:"Admin listener of the server; without it that of the settings." env:"KENTONGAN_ADMIN_URL" placeholder:"URL"`
	Token string `name:"admin-token" help:"What it asks for; better in the environment." env:"KENTONGAN_ADMIN_TOKEN" placeholder:"TOKEN"`
}

// resolve fills in where the admin listener is, and what it asks for: without flags of a server with the same settings on this machine.
func (f *adminFlags) resolve(w *world) error {
	if f.Admin != "" {
		return nil
	}
	cfg, err := config.Load(config.Input{Environ: w.environ, File: f.Config})
	if err != nil {
		return err //nolint:wrapcheck // they are the problems
	}
	if cfg.Server.AdminListen == "" {
		return usage("the settings have no admin listener (KENTONGAN_ADMIN_LISTEN); name that of another server with --admin")
	}
	f.Admin = "http://" + hereOf(cfg.Server.AdminListen)
	if f.Token == "" {
		f.Token = string(cfg.Server.AdminToken)
	}
	return nil
}

// adminTime bounds one request to the admin listener, and maxAdminAnswer its answer.
const (
	adminTime      = 15 * time.Second
	maxAdminAnswer = 64 << 20
)

// ask sends one request and decodes its answer into v.
func (f *adminFlags) ask(ctx context.Context, w *world, method, path string, query url.Values, v any) error {
	if err := f.resolve(w); err != nil {
		return err
	}
	base, err := url.Parse(f.Admin)
	if err != nil || base.Host == "" || base.User != nil || base.Scheme != "http" && base.Scheme != "https" {
		return usage("--admin must be an address such as http://127.0.0.1:3002")
	}
	u := base.JoinPath(path)
	u.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, method, u.String(), http.NoBody)
	if err != nil {
		return fmt.Errorf("ask the admin listener: %w", err)
	}
	if f.Token != "" {
		r.Header.Set("Authorization", "Bearer "+f.Token)
	}
	client := newHTTPClient(adminTime)
	defer client.CloseIdleConnections()
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("%w (it is KENTONGAN_ADMIN_LISTEN of the server; name it with --admin)", explain(f.Admin, err))
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAdminAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", f.Admin, err)
	}
	if answer.StatusCode != http.StatusOK {
		return readRefusal(answer.StatusCode, body)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%s answers with what cannot be read; is it the admin listener of Kentongan?", f.Admin)
	}
	return nil
}

// columns writes rows below their heads; all columns but the last are as wide as their widest cell.
func columns(out io.Writer, rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if i == len(row)-1 {
				line.WriteString(cell)
			} else {
				fmt.Fprintf(&line, "%-*s  ", widths[i], cell)
			}
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(line.String(), " ")); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
	}
	return nil
}
