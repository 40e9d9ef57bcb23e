package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kentongan/config"
)

// words draws a secret that no other part of a message could hold by chance: it has a mark that stands nowhere else.
func words(t *rapid.T, name string) string {
	const mark = "ZQ7J"
	odd := rapid.StringOfN(rapid.RuneFrom([]rune("abcXYZ0189#/@%:?&=,;*'\"`{}[]<>| \\-_!")), 0, 40, -1)
	return odd.Draw(t, name+" head") + mark + odd.Draw(t, name+" tail")
}

// TestNoSecretIsSeen puts secrets, whole and broken, wherever people put them, and looks for them in every text that
// comes out.
func TestNoSecretIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k.yaml")
	rapid.Check(t, func(t *rapid.T) {
		in := config.Input{Serve: rapid.Bool().Draw(t, "serve")}
		for _, name := range []string{"AUTH_SECRET", "NEXTAUTH_SECRET", "AUTH_SECRET_2", "KENTONGAN_JWT_SECRET", "KENTONGAN_API_KEYS", "KENTONGAN_SOCKET_TOKEN_SECRET",
			"REDIS_URL", "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD"} {
			if !rapid.Bool().Draw(t, name) {
				continue
			}
			value := words(t, "value")
			if name == "REDIS_URL" {
				value = rapid.SampledFrom([]string{"redis://", "redis://:", "rediss://user:", "unix://", "", "redis://host/", "redis://h?", "redis://h?db="}).Draw(t, "scheme") + value +
					rapid.SampledFrom([]string{"", "@host:6379", "@host", "@"}).Draw(t, "host")
			}
			if name == "KENTONGAN_API_KEYS" {
				value = rapid.SampledFrom([]string{"", "app:", "app@sppg_7:", "a b:"}).Draw(t, "name") + value
			}
			in.Environ = append(in.Environ, name+"="+value)
		}
		for _, name := range []string{"REDIS_HOST", "REDIS_SENTINELS", "KENTONGAN_ALLOWED_ORIGINS", "KENTONGAN_PUBLIC_URL", "KENTONGAN_JWKS_URL"} {
			if rapid.Bool().Draw(t, name) {
				// Here the mark stands where URLs have a password; a comma or a space would begin another origin.
				word := strings.NewReplacer(",", "", " ", "").Replace(words(t, "word"))
				in.Environ = append(in.Environ, name+"=https://user:"+word+"@host.example")
			}
		}
		if rapid.Bool().Draw(t, "file") {
			body := "auth:\n  jwt_secret: " + words(t, "jwt") + "\n  api_keys: [" + words(t, "key") + "]\nredis:\n  password: " + words(t, "redis") + "\n"
			if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
			in.File = path
		}
		c, err := config.Load(in)
		var out bytes.Buffer
		if err != nil {
			out.WriteString(err.Error())
		} else {
			if err := c.Show(&out); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%v %+v %#v %q %x", c.Auth, c.Auth, c.Redis.Password, c.Auth.SessionSecrets, c.Redis.Password)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("settings", "auth", c.Auth, "redis", c.Redis, "sentinels", c.Sentinels, "password", c.Redis.Password)
			if err := json.NewEncoder(&out).Encode(c.Auth); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(out.String(), "ZQ7J") {
			t.Fatalf("a secret of %q is in\n%s", in.Environ, out.String())
		}
	})
}
