package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"kentongan/app"
	"kentongan/app/demo"
	"kentongan/auth"
	"kentongan/config"
)

type demoCommand struct {
	fileFlag
}

// Help is what demo --help adds.
func (*demoCommand) Help() string {
	return `Three kitchens cook, a night's work in two minutes, by the rules of the production service and in a database that goes away
at the end. Prints a sign-in link for each and how to publish. Secrets are made at random for this run unless they are set. It uses
port 3001, or the next one that is free, of this machine alone, unless KENTONGAN_LISTEN says otherwise.

Examples:

  kentongan demo

  KENTONGAN_LISTEN=:8080 kentongan demo`
}

// Run is kentongan demo.
func (c *demoCommand) Run(w *world) error {
	cfg, err := config.Load(config.Input{Environ: w.environ, File: c.Config})
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	d := &demonstration{w: w, cfg: cfg}
	records, err := os.MkdirTemp("", "kentongan-demo-*")
	if err != nil {
		return fmt.Errorf("folder for the records of the demo: %w", err)
	}
	defer func() { _ = os.RemoveAll(records) }() // what is left is in the folder for temporary files
	if err := d.prepare(ctx, filepath.Join(records, "kentongan.db")); err != nil {
		return err
	}
	ready := make(chan error, 1)
	err = w.run(ctx, d.cfg, app.Options{
		Log: w.logger(d.cfg.Log), Version: readVersion().Version, Demo: true,
		Ready: func(a app.Addresses) {
			err := d.greet(a)
			if err != nil {
				stop() // nobody could use it
			}
			ready <- err
		},
	})
	if err != nil {
		return err
	}
	select {
	case err = <-ready:
	default:
	}
	return err
}

// demonstration is a configuration that needs nothing from outside. Its database is a file that ends with it.
type demonstration struct {
	w   *world
	cfg config.Config
	key config.Secret // the API key that was made for this run; empty: one is configured
}

// prepare fills in what a server for real people would have been given.
func (d *demonstration) prepare(ctx context.Context, database string) error {
	if d.cfg.Production.On {
		d.say("The demo does not use your database: its kitchens keep their records in one of their own.\n")
	}
	d.cfg.Production = config.Production{On: true, Database: config.Database{Path: database}}
	if d.cfg.Redis.Enabled() {
		d.say("The demo does not use Redis: its kitchens would publish to the app's screens.\n")
		d.cfg.Redis = config.Redis{}
	}
	if len(d.cfg.Auth.SessionSecrets) == 0 {
		d.cfg.Auth.SessionSecrets = []config.Secret{config.Secret(rand.Text())}
	}
	if len(d.cfg.Auth.APIKeys) == 0 {
		d.key = config.Secret(rand.Text())
		d.cfg.Auth.APIKeys = []config.APIKey{{Name: "demo", Key: d.key}}
	}
	if !d.cfg.IsSet("log.level") {
		d.cfg.Log.Level = slog.LevelWarn // the links should not scroll away
	}
	if !d.cfg.IsSet("server.listen") {
		port, err := freePort(ctx, 3001, 0)
		if err != nil {
			return err
		}
		if port != 3001 {
			d.say("Port 3001 is taken; the demo uses %d.\n", port)
		}
		d.cfg.Server.Listen = loopback(port)
	}
	if !d.cfg.IsSet("server.admin_listen") {
		port, err := freePort(ctx, 3002, portOf(d.cfg.Server.Listen))
		if err != nil {
			return err
		}
		d.cfg.Server.AdminListen = loopback(port)
	}
	return nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func portOf(address string) int {
	_, port, _ := net.SplitHostPort(address) // it was checked
	n, _ := strconv.Atoi(port)               // as above
	return n
}

// freePort returns the first free port from first on, other than taken. Somebody may take it before we do; the server then says so.
func freePort(ctx context.Context, first, taken int) (int, error) {
	var lc net.ListenConfig
	for port := first; port < first+100; port++ {
		if port == taken {
			continue
		}
		// Somebody on all addresses shares the port with us on some systems, but browsers would reach only one of us.
		if l, err := lc.Listen(ctx, "tcp", loopback(port)); err == nil {
			if err := l.Close(); err != nil {
				return 0, fmt.Errorf("try port %d: %w", port, err)
			}
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port from %d to %d; set KENTONGAN_LISTEN", first, first+99)
}

// greet prints how to get in.
func (d *demonstration) greet(a app.Addresses) error {
	if a.SignIn == nil {
		return errors.New("the server gave no sign-in links")
	}
	base := d.cfg.Server.PublicURL
	if base == "" {
		base = "http://" + reachable(a.Public)
		if d.cfg.TLS() {
			base = "https://" + reachable(a.Public)
		}
	}
	var b strings.Builder
	b.WriteString("\nKentongan demo: three kitchens are cooking. Ctrl-C stops it.\n\nOpen a link to sign in (good for 12 " +
		"hours, for you alone):\n")
	for _, k := range demo.Kitchens() {
		link, err := a.SignIn(d.claims("demo-"+string(k.ID), string(k.ID), "SPPG_KEPALA", "SPPG_USER"))
		if err != nil {
			return fmt.Errorf("make sign-in link: %w", err)
		}
		fmt.Fprintf(&b, "\n  %s (%s)\n  %s%s\n", k.Name, k.Zone, base, link)
	}
	link, err := a.SignIn(d.claims("demo-platform", "", auth.RoleSuperadmin, "SUPERADMIN"))
	if err != nil {
		return fmt.Errorf("make sign-in link: %w", err)
	}
	fmt.Fprintf(&b, "\n  Platform, all kitchens\n  %s%s\n", base, link)
	key := "YOUR_API_KEY"
	if d.key != "" {
		key = d.key.Reveal() // of this run alone, so it may be seen
	}
	fmt.Fprintf(&b, `
Publish something:

  curl -X POST %[1]s/api/publish -H 'Authorization: Bearer %[2]s' -H 'Content-Type: application/json' \
    -d '{"channel":"system-alert","data":{"type":"system_alert","alert":{"message":{"id":"Halo dapur!","en":"Hello kitchens!"}}}}'

Follow a channel:

  kentongan tail --server %[1]s --api-key %[2]s production:updates:%[3]s
`, base, key, demo.Kitchens()[0].ID)
	fmt.Fprintf(&b, "\nThe records over HTTP: %s/docs\n", base)
	if a.Admin != "" {
		fmt.Fprintf(&b, "\nMetrics: http://%s/metrics\n", a.Admin)
	}
	d.say("%s\n", b.String())
	return nil
}

func (d *demonstration) claims(sub, kitchen, role, userType string) map[string]any {
	return claimsFor(d.cfg.Auth.Claims, person{sub: sub, kitchen: kitchen, role: role, userType: userType})
}

func (d *demonstration) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.w.out, format, args...) // a closed terminal does not end the server
}

// reachable turns the address of a listener into one that a browser on this machine can open. The name localhost is
// what the app's pages use in development, so cookies fit.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
