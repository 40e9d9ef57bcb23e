package stand

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"kentongan/internal/process"
)

// Nginx is a real nginx with TLS before some gateways, set up by the recipe that operators copy. Its methods are for one goroutine.
type Nginx struct {
	Address string

	authority *Authority
	dir       string
	path      string
	serial    int64 // of the certificate that it should show
	log       *os.File
	child     *process.Child
}

// ShutdownTime is how long connections of an nginx that was told to read its settings again stay with the process that has the old
// ones. Without a bound it would be as long as clients stay, which is for hours.
const ShutdownTime = 3 * time.Second

// NewNginx returns an nginx that was not started yet. Recipe is the text of deploy/nginx/kentongan.conf; what has to be another
// value here is replaced in it, and must be there: the addresses of both nodes, the certificate, and the app, which is not there: all
// paths are Kentongan's. Its folder and log are called nginx in dir.
func NewNginx(dir, recipe string, authority *Authority, nodes [2]string) (*Nginx, error) {
	n := &Nginx{Address: process.FreeAddresses(1)[0], authority: authority, dir: filepath.Join(dir, "nginx")}
	var err error
	if n.path, err = exec.LookPath("nginx"); err != nil {
		if n.path, err = exec.LookPath("/usr/sbin/nginx"); err != nil { // where Debian has it, which is not in every PATH
			return nil, errors.New("nginx is not installed: install it (make programs)")
		}
	}
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of nginx: %w", err)
	}
	for _, change := range [][2]string{
		{"listen 443 ssl", "listen " + n.Address + " ssl"},
		{"127.0.0.1:3001", nodes[0]},
		{"127.0.0.1:3011", nodes[1]},
		{"/etc/nginx/tls.crt", filepath.Join(n.dir, "tls.crt")},
		{"/etc/nginx/tls.key", filepath.Join(n.dir, "tls.key")},
		{"proxy_pass http://app;", "proxy_pass http://kentongan;"},
	} {
		if !strings.Contains(recipe, change[0]) {
			return nil, fmt.Errorf("the recipe of nginx does not have %q", change[0])
		}
		recipe = strings.ReplaceAll(recipe, change[0], change[1])
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root; " // its workers write into our folder
	}
	var settings strings.Builder
	fmt.Fprintf(&settings, "%sdaemon off; worker_processes 1; worker_shutdown_timeout %ds; pid %s/pid; error_log stderr;\n"+
		"events { worker_connections 4096; }\nhttp { access_log off;\n", user, int(ShutdownTime/time.Second), n.dir)
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&settings, "%s_temp_path %s/%s;\n", kind, n.dir, kind)
	}
	fmt.Fprintf(&settings, "%s}\n", recipe)
	if err := os.WriteFile(n.settings(), []byte(settings.String()), 0o600); err != nil {
		return nil, fmt.Errorf("write settings of nginx: %w", err)
	}
	if n.serial, err = authority.Issue(n.dir); err != nil {
		return nil, err
	}
	if n.log, err = os.OpenFile(n.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("open log of nginx: %w", err)
	}
	return n, nil
}

func (n *Nginx) settings() string { return filepath.Join(n.dir, "nginx.conf") }

// Start starts it and waits until it shows its certificate.
func (n *Nginx) Start(ctx context.Context) error {
	cmd := exec.Command(n.path, "-e", "stderr", "-p", n.dir, "-c", n.settings()) //nolint:gosec,noctx // our arguments; Close ends it
	cmd.Stderr, cmd.Stdout = n.log, n.log
	child, err := process.Start(cmd)
	if err != nil {
		return err
	}
	n.child = child
	return n.shows(ctx)
}

// shows waits until it shows the newest certificate.
func (n *Nginx) shows(ctx context.Context) error {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		shown, err := n.shown(ctx)
		if err == nil && shown == n.serial {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("it shows certificate %d, not %d", shown, n.serial)
		}
		select {
		case <-n.child.Done():
			return fmt.Errorf("nginx ended (%s): %w", n.log.Name(), n.child.Err())
		case <-ctx.Done():
			return fmt.Errorf("wait for nginx: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// shown returns the serial number of the certificate that a new connection gets.
func (n *Nginx) shown(ctx context.Context) (int64, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.Address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = raw.Close() }() // only the handshake matters
	config := n.authority.Client()
	config.ServerName = "127.0.0.1"
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return 0, err
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}

// Reload gives it a new certificate, as in the night in which the old one was renewed, and has it read its settings again. It
// returns when new connections get the new one and the process with the old one has had its time.
func (n *Nginx) Reload(ctx context.Context) error {
	serial, err := n.authority.Issue(n.dir)
	if err != nil {
		return err
	}
	n.serial = serial
	n.child.Signal(syscall.SIGHUP)
	if err := n.shows(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(ShutdownTime):
		return nil
	}
}

// Restart ends it with all connections, and starts it again.
func (n *Nginx) Restart(ctx context.Context) error {
	n.stop()
	return n.Start(ctx)
}

func (n *Nginx) stop() {
	const patience = 5 * time.Second
	n.child.Stop(patience)
}

// Close ends it, if it was started, and closes its log.
func (n *Nginx) Close() {
	if n.child != nil {
		n.stop()
	}
	_ = n.log.Close()
}
