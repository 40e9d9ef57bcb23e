package config

func tracesSection() section {
	return section{
		title: "Traces",
		intro: "Where the time of a request or a publication went, sent to a collector of OpenTelemetry. The variables that " +
			"begin with `OTEL_` are those of its specification; they mean nothing while traces are off. What else that specification " +
			"has for the exporter (`OTEL_EXPORTER_OTLP_CERTIFICATE`, `OTEL_EXPORTER_OTLP_COMPRESSION`) is read from the environment, too.",
		settings: append(collectorSettings(), samplingSettings()...),
	}
}

// collectorSettings say whether traces are sent, and where to.
func collectorSettings() []setting {
	return []setting{
		{
			key: "traces.export", env: []string{"KENTONGAN_TRACES"}, def: "off", example: "otlp",
			meaning: "`otlp`: traces are recorded and sent. `off`: nothing is, and it costs nothing.",
			kind:    tracesSwitch{},
		},
		{
			key: "traces.endpoint", env: []string{"OTEL_EXPORTER_OTLP_ENDPOINT"}, def: "http://localhost:4318",
			example: "https://collector.example.id:4318",
			meaning: "The collector. `/v1/traces` is added.",
			kind: tracesText{"traces.endpoint", text{func(d *draft) *string { return &d.traces.endpoint }, "http or https URL",
				checkCollector}},
		},
		{
			key: "traces.url", env: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}, unset: "made of `OTEL_EXPORTER_OTLP_ENDPOINT`",
			example: "https://collector.example.id/otlp/v1/traces",
			meaning: "Where traces go, if that is another place: the whole URL, to which nothing is added.",
			kind: tracesText{"traces.url", text{func(d *draft) *string { return &d.Traces.URL }, "http or https URL",
				checkCollector}},
		},
		{
			key: "traces.protocol", env: []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"}, def: otlpHTTP,
			example: otlpHTTP,
			meaning: "How the collector is spoken to. There is one way.",
			kind: tracesText{"traces.protocol", text{func(d *draft) *string { return &d.traces.protocol }, "`http/protobuf`",
				checkProtocol}},
		},
		{
			key: "traces.headers", env: []string{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"},
			unset: "none", example: "authorization=Bearer%20a-token-of-the-collector",
			meaning: "Fields of each request to the collector, such as a token, with special characters percent-encoded.",
			kind: tracesHeaders{tracesPairs{"traces.headers",
				func(d *draft, v map[string]string) { d.Traces.Headers = secrets(v) }}},
		},
	}
}

// samplingSettings say what traces tell of this server, and which are recorded.
func samplingSettings() []setting {
	return []setting{
		{
			key: "traces.service", env: []string{"OTEL_SERVICE_NAME"}, def: "kentongan", example: "kentongan-jakarta",
			meaning: "What this server is called in traces.",
			kind: tracesText{"traces.service", text{func(d *draft) *string { return &d.Traces.Service }, "text",
				checkLine}},
		},
		{
			key: "traces.attributes", env: []string{"OTEL_RESOURCE_ATTRIBUTES"}, unset: "none",
			example: "deployment.environment.name=production",
			meaning: "What else traces say of this server. `service.version` and `service.instance.id`, the name of the machine, " +
				"they say by themselves.",
			kind: tracesPairs{"traces.attributes", func(d *draft, v map[string]string) { d.Traces.Attributes = v }},
		},
		{
			key: "traces.sampler", env: []string{"OTEL_TRACES_SAMPLER"}, def: "parentbased_traceidratio",
			example: "parentbased_always_on",
			meaning: "Which traces are recorded. `parentbased_…`: a request that comes with a `traceparent` is recorded if that says " +
				"so; whoever reaches the public listener can have its requests recorded then.",
			kind: tracesText{"traces.sampler", text{func(d *draft) *string { return &d.traces.sampler },
				"`always_on`, `always_off`, `traceidratio`, or one of these behind `parentbased_`", checkSampler}},
		},
		{
			key: "traces.ratio", env: []string{"OTEL_TRACES_SAMPLER_ARG"}, def: "0.01", example: "0.1",
			meaning: "For `traceidratio`: how many of all traces are recorded. 0.01 is one of a hundred.",
			kind: tracesText{"traces.ratio", text{func(d *draft) *string { return &d.traces.ratio }, "number, 0 to 1",
				checkRatio}},
		},
	}
}
