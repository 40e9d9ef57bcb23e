package app_test

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// alertRules is what we look at in deploy/prometheus/alerts.yaml.
type alertRules struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr, For    string
			Labels, Annotations map[string]string
		}
	}
}

func readAlerts(t *testing.T) alertRules {
	t.Helper()
	var a alertRules
	if err := yaml.Unmarshal([]byte(readText(t, "../deploy/prometheus/alerts.yaml")), &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Groups) == 0 || len(a.Groups[0].Rules) < 20 {
		t.Fatal("there are no rules")
	}
	return a
}

// asked is all that the rules and the dashboard ask Prometheus, by where they stand.
func asked(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, r := range readAlerts(t).Groups[0].Rules {
		out["alert "+r.Alert] = r.Expr
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal([]byte(readText(t, "../deploy/grafana/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the number %d", p.ID)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			out["panel "+p.Title+" "+target.RefID] = target.Expr
		}
	}
	if len(ids) < 20 {
		t.Fatalf("the dashboard has %d panels", len(ids))
	}
	return out
}

// TestMonitoringAsksForWhatThereIs compares every metric, label and value in the rules and the dashboard with what the server exports:
// a query for what does not exist is silent for ever.
func TestMonitoringAsksForWhatThereIs(t *testing.T) {
	exported := map[string]string{"kentongan_delivery_seconds_bucket": "`le`"}
	for _, m := range regexp.MustCompile("(?m)^\\| `(kentongan_[a-z_]+)` \\| ([^|]*) \\|").FindAllStringSubmatch(readText(t, "../docs/operations.md"), -1) {
		exported[m[1]] = m[2] // TestOperationsListsTheMetrics compares that table with the code
	}
	s := start(t)
	_, body := s.do(http.MethodGet, s.admin+"/metrics", "", nil)
	for _, m := range regexp.MustCompile(`(?m)^# TYPE ((?:go|process)_[a-z_]+) `).FindAllStringSubmatch(body, -1) {
		exported[m[1]] = ""
	}
	source := allSource(t, "../app", "../auth", "../realtime", "../production")
	metric := regexp.MustCompile(`\b((?:kentongan|go|process)_[a-z_]+)(\{[^}]*\})?`)
	label := regexp.MustCompile(`([a-z]+)(?:=~|=)"([^"]*)"`)
	for where, query := range asked(t) {
		found := metric.FindAllStringSubmatch(query, -1)
		if len(found) == 0 {
			t.Errorf("%s asks for no metric: %s", where, query)
		}
		for _, m := range found {
			labels, ok := exported[m[1]]
			if !ok {
				t.Errorf("%s asks for %s, which the server does not export", where, m[1])
			}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				if l[1] == "instance" || l[1] == "job" { // Prometheus' own
					continue
				}
				if !strings.Contains(labels, "`"+l[1]+"`") {
					t.Errorf("%s: %s has no label %s", where, m[1], l[1])
				}
				for value := range strings.SplitSeq(l[2], "|") {
					if !strings.Contains(source, `"`+value+`"`) {
						t.Errorf("%s: nothing in the code says %q of %s", where, value, m[1])
					}
				}
			}
		}
		for _, m := range regexp.MustCompile(`by \(([a-z, ]+)\)`).FindAllStringSubmatch(query, -1) {
			for name := range strings.SplitSeq(m[1], ", ") {
				if name != "instance" && !strings.Contains(labels(exported, found), "`"+name+"`") {
					t.Errorf("%s sums by %s, which no metric in it has", where, name)
				}
			}
		}
	}
}

func labels(exported map[string]string, found [][]string) (all string) {
	for _, m := range found {
		all += exported[m[1]]
	}
	return all
}

// allSource returns the code below dirs, without tests.
func allSource(t *testing.T, dirs ...string) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				all.WriteString(readText(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// TestEveryAlertHasItsRunbook compares the rules with docs/runbook.md, in both directions.
func TestEveryAlertHasItsRunbook(t *testing.T) {
	pages := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(readText(t, "../docs/runbook.md"), -1) {
		pages[m[1]] = true
	}
	for _, r := range readAlerts(t).Groups[0].Rules {
		if !pages[r.Alert] || r.Annotations["runbook"] != "docs/runbook.md#"+strings.ToLower(r.Alert) {
			t.Errorf("%s has no page in docs/runbook.md, or does not name it: %q", r.Alert, r.Annotations["runbook"])
		}
		delete(pages, r.Alert)
		if severity := r.Labels["severity"]; severity != "critical" && severity != "warning" && severity != "info" {
			t.Errorf("%s has the severity %q", r.Alert, severity)
		}
	}
	for page := range pages {
		t.Errorf("docs/runbook.md has %s, which no rule raises", page)
	}
}

// TestPromtool has Prometheus' own tool read the rules, and try them on series that should raise them and on some that should not.
func TestPromtool(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		command := exec.CommandContext(t.Context(), "promtool", args...)
		command.Dir = "../deploy/prometheus"
		if text, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, text)
		}
	}
}

// tenantFree are label names under which no kitchen may hide; every other one needs a look at how many values it can have.
var tenantFree = map[string]bool{
	"dialect": true, "code": true, "reason": true, "outcome": true, "door": true, "cause": true, "engine": true, "tier": true, "operation": true,
	"le": true, "quantile": true, "version": true, "result": true,
}

// TestLabelsAreBounded counts the series of a server on which many kitchens and channels were busy: they are as many as before.
func TestLabelsAreBounded(t *testing.T) {
	s := start(t)
	series := func() (n int) {
		_, body := s.do(http.MethodGet, s.admin+"/metrics", "", nil)
		for line := range strings.Lines(body) {
			if !strings.HasPrefix(line, "kentongan_") {
				continue
			}
			n++
			for _, m := range regexp.MustCompile(`([a-z_]+)="`).FindAllStringSubmatch(line, -1) {
				if !tenantFree[m[1]] {
					t.Errorf("label %s: how many values can it have? %s", m[1], line)
				}
			}
		}
		return n
	}
	visit := func(kitchen string) {
		conn := s.dial(s.cookie("u", kitchen, "SPPG_KEPALA"))
		s.publish("production:updates:"+kitchen, `1`)
		read(t, conn)
		_ = conn.CloseNow()
		s.do(http.MethodGet, s.public+"/api/history?channel=nowhere:"+kitchen, "", s.cookie("u", kitchen, "SPPG_KEPALA"))
	}
	visit("first") // one connection of a dialect, one close and one refusal add a series each
	eventually(t, "the end of the first connection", func() bool {
		_, body := s.do(http.MethodGet, s.admin+"/metrics", "", nil)
		return strings.Contains(body, `kentongan_connections{dialect="bare"} 0`)
	})
	before := series()
	for n := range 30 {
		visit("kitchen_" + strconv.Itoa(n))
	}
	eventually(t, "the same number of series", func() bool { return series() == before })
}
