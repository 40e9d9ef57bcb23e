package config_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"kentongan/config"
)

func TestTraces(t *testing.T) {
	for name, c := range map[string]struct {
		environ []string
		want    config.Traces
	}{
		"Off":     {nil, config.Traces{Service: "kentongan"}},
		"Default": {[]string{"KENTONGAN_TRACES=otlp"}, config.Traces{On: true, URL: "http://localhost:4318/v1/traces", Service: "kentongan", Ratio: 0.01, Parent: true}},
		"Everything": {
			[]string{
				"KENTONGAN_TRACES=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=https://a.example.id/otlp/", "OTEL_SERVICE_NAME=dapur", "OTEL_TRACES_SAMPLER=traceidratio",
				"OTEL_TRACES_SAMPLER_ARG=0.5", "OTEL_RESOURCE_ATTRIBUTES=a=1, b=two%20words", "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20xyzzy-plugh",
				"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
			},
			config.Traces{
				On: true, URL: "https://a.example.id/otlp/v1/traces", Service: "dapur", Ratio: 0.5, Attributes: map[string]string{"a": "1", "b": "two words"},
				Headers: map[string]config.Secret{"authorization": "Bearer xyzzy-plugh"},
			},
		},
		"OnlyOfTraces": {
			[]string{
				"KENTONGAN_TRACES=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=https://a.example.id", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://b.example.id/t",
				"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf", "OTEL_TRACES_SAMPLER=parentbased_always_on",
			},
			config.Traces{On: true, URL: "https://b.example.id/t", Service: "kentongan", Ratio: 1, Parent: true},
		},
		"AlwaysOff":     {[]string{"KENTONGAN_TRACES=otlp", "OTEL_TRACES_SAMPLER=always_off"}, config.Traces{On: true, URL: "http://localhost:4318/v1/traces", Service: "kentongan"}},
		"OthersAreWide": {[]string{"OTEL_TRACES_SAMPLER=jaeger_remote", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_RESOURCE_ATTRIBUTES=x"}, config.Traces{Service: "kentongan"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := config.Load(config.Input{Environ: c.environ})
			if err != nil {
				t.Fatal(err)
			}
			g, w := got.Traces, c.want
			if g.On != w.On || g.URL != w.URL || g.Service != w.Service || g.Ratio != w.Ratio || g.Parent != w.Parent ||
				!maps.Equal(g.Attributes, w.Attributes) || !maps.Equal(g.Headers, w.Headers) {
				t.Errorf("got %+v, want %+v", g, w)
			}
			var shown bytes.Buffer
			if err := got.Show(&shown); err != nil || strings.Contains(shown.String(), "xyzzy") {
				t.Errorf("shown with the secret: %v\n%s", err, &shown)
			}
		})
	}
}

func TestTracesRefused(t *testing.T) {
	for variable, want := range map[string]string{
		"KENTONGAN_TRACES=on":                                          "KENTONGAN_TRACES: \"on\" is neither off nor otlp",
		"OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4317":                   "OTEL_EXPORTER_OTLP_ENDPOINT: must begin with https:// or http://",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://me:too@example.id/": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: must not hold a user name or password",
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc":                             "OTEL_EXPORTER_OTLP_PROTOCOL: \"grpc\" is not spoken here; write http/protobuf",
		"OTEL_TRACES_SAMPLER=jaeger_remote":                            "OTEL_TRACES_SAMPLER: \"jaeger_remote\" is no sampler that is known here",
		"OTEL_TRACES_SAMPLER=parentbased_":                             "OTEL_TRACES_SAMPLER: \"parentbased_\" is no sampler",
		"OTEL_TRACES_SAMPLER_ARG=2":                                    "OTEL_TRACES_SAMPLER_ARG: \"2\" is no number from 0 to 1",
		"OTEL_TRACES_SAMPLER_ARG=NaN":                                  "OTEL_TRACES_SAMPLER_ARG: \"NaN\" is no number from 0 to 1",
		"OTEL_EXPORTER_OTLP_HEADERS=Bearer xyzzy":                      "OTEL_EXPORTER_OTLP_HEADERS: entry 1 is no name=value",
		"OTEL_EXPORTER_OTLP_HEADERS=a=1,authorization=xyzzy%":          "OTEL_EXPORTER_OTLP_HEADERS: entry 2 has a value that cannot be read",
		"OTEL_EXPORTER_OTLP_HEADERS=authorization=xyzzy%0aother":       "OTEL_EXPORTER_OTLP_HEADERS: entry 1 has a value that cannot be read",
		"OTEL_RESOURCE_ATTRIBUTES=":                                    "",
		"OTEL_RESOURCE_ATTRIBUTES==1":                                  "OTEL_RESOURCE_ATTRIBUTES: entry 1 is no name=value",
	} {
		_, err := config.Load(config.Input{Environ: []string{"KENTONGAN_TRACES=otlp", variable}})
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", variable, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "\n") > 0 && !strings.HasPrefix(variable, "KENTONGAN") {
			t.Errorf("%s: got %v, want %s", variable, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "xyzzy") {
			t.Errorf("%s: the error has the secret: %v", variable, err)
		}
	}
}
