package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAdminOfTheSettings runs a command with nothing but the environment of the server, or with its file.
func TestAdminOfTheSettings(t *testing.T) {
	const token = "a-token-for-the-admin-listener"
	a := startServer(t, "KENTONGAN_ADMIN_TOKEN="+token)
	_, port, _ := strings.Cut(a.Admin, ":")
	file := filepath.Join(t.TempDir(), "kentongan.yaml")
	if err := os.WriteFile(file, []byte("server:\n  admin_listen: 127.0.0.1:"+port+"\n  admin_token: "+token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		environ, args []string
		code          int
		says          string
	}{
		"Environment":  {[]string{"KENTONGAN_ADMIN_LISTEN=" + a.Admin, "KENTONGAN_ADMIN_TOKEN=" + token}, nil, exitOK, "nothing is held"},
		"AllAddresses": {[]string{"KENTONGAN_ADMIN_LISTEN=:" + port, "KENTONGAN_ADMIN_TOKEN=" + token}, nil, exitOK, "nothing is held"},
		"File":         {[]string{"KENTONGAN_CONFIG=" + file}, nil, exitOK, "nothing is held"},
		"FileFlag":     {nil, []string{"--config", file}, exitOK, "nothing is held"},
		"WithoutToken": {[]string{"KENTONGAN_ADMIN_LISTEN=" + a.Admin}, nil, exitFailed, "KENTONGAN_ADMIN_TOKEN"},
		"FlagWins": {
			[]string{"KENTONGAN_ADMIN_LISTEN=127.0.0.1:1"}, []string{"--admin", "http://" + a.Admin, "--admin-token", token},
			exitOK, "nothing is held",
		},
		"Off":    {[]string{"KENTONGAN_ADMIN_LISTEN=off"}, nil, exitUsage, "name that of another server with --admin"},
		"Broken": {[]string{"KENTONGAN_ADMIN_LISTEN=nowhere"}, nil, exitUsage, "KENTONGAN_ADMIN_LISTEN: "},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr := kentongan(t, c.environ, c.code, append([]string{"quarantine", "list"}, c.args...)...)
			if !strings.Contains(stdout+stderr, c.says) {
				t.Errorf("it says %q %q, want %q", stdout, stderr, c.says)
			}
		})
	}
}

// TestAdminAddress has the environment name an address, beside a server on this machine.
func TestAdminAddress(t *testing.T) {
	a := startServer(t)
	t.Setenv("KENTONGAN_ADMIN_URL", "http://"+a.Admin)
	if out, _ := kentongan(t, []string{"KENTONGAN_ADMIN_LISTEN=127.0.0.1:1"}, exitOK, "quarantine", "list"); out != "nothing is held\n" {
		t.Errorf("it says %q", out)
	}
}

// TestHelpNamesExitCodes compares what --help says with the codes.
func TestHelpNamesExitCodes(t *testing.T) {
	help, _ := kentongan(t, nil, exitOK, "--help")
	help = strings.Join(strings.Fields(help), " ")
	for _, code := range []string{"0 done", "1 failed", "2 wrong command line", "3 only warnings (doctor)", "130 interrupted"} {
		if !strings.Contains(help, code) {
			t.Errorf("kentongan --help does not say %q: %s", code, help)
		}
	}
}
