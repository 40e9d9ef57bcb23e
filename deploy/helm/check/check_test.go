// Package check renders the chart with helm and reads what comes out as Kubernetes does, refusing fields that it does not know. `make helm`
// runs it; HELM names the program. No cluster is needed, and none is asked.
package check

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const chart = "../kentongan"

func helm(args ...string) (string, error) {
	text, err := exec.Command(os.Getenv("HELM"), args...).CombinedOutput()
	return string(text), err
}

// rendered is what the chart makes, by kind.
type rendered struct {
	deployment apps.Deployment
	services   []core.Service
	budget     policy.PodDisruptionBudget
	scaler     autoscaling.HorizontalPodAutoscaler
	network    networking.NetworkPolicy
	kinds      []string
}

func render(t *testing.T, args ...string) rendered {
	t.Helper()
	text, err := helm(append([]string{"template", "k", chart, "--kube-version", "1.31.0"}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var r rendered
	for document := range strings.SplitSeq("\n"+text, "\n---\n") {
		var head struct{ Kind string }
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		var into any
		switch head.Kind {
		case "":
			continue
		case "Deployment":
			into = &r.deployment
		case "Service":
			r.services = append(r.services, core.Service{})
			into = &r.services[len(r.services)-1]
		case "PodDisruptionBudget":
			into = &r.budget
		case "HorizontalPodAutoscaler":
			into = &r.scaler
		case "NetworkPolicy":
			into = &r.network
		case "ServiceMonitor": // of Prometheus' operator, whose types are not here
			into = &map[string]any{}
		default:
			t.Fatalf("unknown kind %s", head.Kind)
		}
		r.kinds = append(r.kinds, head.Kind)
		if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
			t.Errorf("%s: %v\n%s", head.Kind, err, document)
		}
	}
	return r
}

func TestLint(t *testing.T) {
	if text, err := helm("lint", "--strict", chart); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestDefaults(t *testing.T) {
	r := render(t)
	if want := []string{"Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service"}; !slices.Equal(slices.Sorted(slices.Values(r.kinds)), want) {
		t.Errorf("the chart makes %v, want %v", r.kinds, want)
	}
	pod := r.deployment.Spec.Template.Spec
	c := pod.Containers[0]
	if !*pod.SecurityContext.RunAsNonRoot || !*c.SecurityContext.ReadOnlyRootFilesystem || *c.SecurityContext.AllowPrivilegeEscalation ||
		!slices.Equal(c.SecurityContext.Capabilities.Drop, []core.Capability{"ALL"}) || *pod.AutomountServiceAccountToken {
		t.Error("the pod may do more than it needs")
	}
	// A Service called kentongan would give each pod KENTONGAN_PORT and its like, which are no settings: the server would not start.
	if *pod.EnableServiceLinks {
		t.Error("variables of Services come into the pod")
	}
	if strings.HasSuffix(c.Image, ":latest") || strings.HasSuffix(c.Image, ":") {
		t.Errorf("the image is %s", c.Image)
	}
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	var drain int64
	if _, err := fmt.Sscanf(env["KENTONGAN_DRAIN_TIME"], "%ds", &drain); err != nil {
		t.Fatalf("drain time %q: %v", env["KENTONGAN_DRAIN_TIME"], err)
	}
	if sleep := c.Lifecycle.PreStop.Sleep.Seconds; sleep+drain >= *pod.TerminationGracePeriodSeconds {
		t.Errorf("killed after %d s, and the stop takes %d + %d s", *pod.TerminationGracePeriodSeconds, sleep, drain)
	}
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Error("the probes ask for something else")
	}
	if env["KENTONGAN_LISTEN"] != ":3001" || env["KENTONGAN_ADMIN_LISTEN"] != ":3002" {
		t.Errorf("the server listens at %v", env)
	}
	for _, selector := range []map[string]string{
		r.deployment.Spec.Selector.MatchLabels, r.budget.Spec.Selector.MatchLabels, r.network.Spec.PodSelector.MatchLabels, r.services[0].Spec.Selector,
	} {
		for name, value := range selector {
			if r.deployment.Spec.Template.Labels[name] != value {
				t.Errorf("%s=%s is on no pod", name, value)
			}
		}
	}
	for _, s := range r.services {
		if s.Name == "k-kentongan-admin" && s.Spec.ClusterIP != "None" {
			t.Error("the admin listener is balanced")
		}
	}
}

func TestScaling(t *testing.T) {
	r := render(t, "--set", "autoscaling.enabled=true,serviceMonitor.enabled=true")
	if r.deployment.Spec.Replicas != nil {
		t.Error("the chart and the scaler both say how many there are")
	}
	if r.scaler.Spec.ScaleTargetRef.Name != r.deployment.Name || r.scaler.Spec.Metrics[0].Pods.Metric.Name != "kentongan_connections" {
		t.Errorf("the scaler is %+v", r.scaler.Spec)
	}
	if !slices.Contains(r.kinds, "ServiceMonitor") {
		t.Errorf("the chart makes %v", r.kinds)
	}
}

func TestTraces(t *testing.T) {
	sends := func(r *rendered) (endpoint string, on bool, ports []int) {
		for _, e := range r.deployment.Spec.Template.Spec.Containers[0].Env {
			switch e.Name {
			case "KENTONGAN_TRACES":
				on = e.Value == "otlp"
			case "OTEL_EXPORTER_OTLP_ENDPOINT":
				endpoint = e.Value
			}
		}
		for _, rule := range r.network.Spec.Egress {
			for _, p := range rule.Ports {
				ports = append(ports, p.Port.IntValue())
			}
		}
		return endpoint, on, ports
	}
	off := render(t)
	if endpoint, on, ports := sends(&off); on || endpoint != "" || slices.Contains(ports, 4318) {
		t.Errorf("nobody has asked for traces: %t, to %q, out to %v", on, endpoint, ports)
	}
	for url, port := range map[string]int{
		"http://collector.monitoring:4318": 4318, "http://collector/otlp": 80, "https://collector.example.id": 443, "https://[fd00::1]:4319/otlp": 4319,
	} {
		r := render(t, "--set", "networkPolicy.egressPorts=null,traces.enabled=true", "--set-string", "traces.endpoint="+url)
		if endpoint, on, ports := sends(&r); !on || endpoint != url || !slices.Contains(ports, port) {
			t.Errorf("%s: %t, to %q, out to %v; want port %d", url, on, endpoint, ports, port)
		}
	}
}

// TestValuesAreChecked sets what the schema refuses.
func TestValuesAreChecked(t *testing.T) {
	for _, set := range []string{
		"image.tag=latest", "replcas=3", "replicas=0", "config.REDIS_URL=redis://:word@h", "config.KENTONGAN_ADMIN_TOKEN=x", "config.lower=x",
		"service.port=70000", "secretName=", "goMemLimit=1GB",
		"traces.endpoint=collector:4318", "traces.enabled=yes please", "config.KENTONGAN_TRACES=otlp", "config.OTEL_EXPORTER_OTLP_HEADERS=x-token=y",
	} {
		text, err := helm("template", "k", chart, "--kube-version", "1.31.0", "--set", set)
		if _, exited := errors.AsType[*exec.ExitError](err); !exited || !strings.Contains(text, "values don't meet the specifications of the schema") {
			t.Errorf("%s is taken: %v %.200s", set, err, text)
		}
	}
}
