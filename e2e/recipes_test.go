package e2e

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestRecipesSendTheSamePaths compares the paths that each recipe sends to Kentongan: one that is forgotten is the app's, and its 404.
func TestRecipesSendTheSamePaths(t *testing.T) {
	paths := []string{"ws", "ws/extend", "sse", "publish", "history", "presence", "ticket", "revoke"}
	for _, recipe := range []string{"nginx/kentongan.conf", "caddy/Caddyfile", "haproxy/haproxy.cfg", "traefik/labels.yml", "kubernetes/ingress.yaml"} {
		text, err := os.ReadFile("../deploy/" + recipe)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			want := "/api/" + path
			switch {
			case strings.HasPrefix(recipe, "nginx"):
				want = path + "|"
				if path == "revoke" {
					want = path + ")$"
				}
			case strings.HasPrefix(recipe, "kubernetes") && path == "ws/extend":
				want = "{path: /api/ws, pathType: Prefix"
			}
			if !strings.Contains(string(text), want) {
				t.Errorf("deploy/%s does not have %q", recipe, want)
			}
		}
		if strings.HasSuffix(recipe, "ml") {
			var document map[string]any
			if err := yaml.Unmarshal(text, &document); err != nil || len(document) == 0 {
				t.Errorf("deploy/%s is no YAML: %v", recipe, err)
			}
		}
	}
}
