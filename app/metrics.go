package app

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"kentongan/auth"
	"kentongan/realtime"
	"kentongan/realtime/gateway"
	"kentongan/realtime/intake"
	"kentongan/realtime/protocol"
	"kentongan/realtime/stamping"
)

// metrics are the figures of all parts, read when Prometheus asks. Labels have few values and never a tenant: with
// 35,000 kitchens that would be more series than all else together, and it is what /connections is for.
type metrics struct {
	app      *App
	registry *prometheus.Registry
	latency  prometheus.Histogram

	httpStamped, httpRefused, httpLimited atomic.Uint64
}

func newMetrics(a *App) *metrics {
	m := &metrics{app: a, registry: prometheus.NewRegistry()}
	m.latency = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "kentongan_delivery_seconds",
		Help: "Time from the arrival of a publication at this node to the last write to a socket here.",
		// From the best of a small kitchen to the 3 s that a kitchen may wait at most (DOMAIN: p99 < 3 s).
		Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 3, 10},
	})
	m.registry.MustRegister(m, m.latency, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// delivered is called by the hub after each publication.
func (m *metrics) delivered(p *realtime.Publication, _ int) {
	if !p.Arrived.IsZero() {
		m.latency.Observe(time.Since(p.Arrived).Seconds())
	}
}

// published is called by the HTTP door.
func (m *metrics) published(o intake.Outcome) {
	switch o {
	case intake.OutcomeStamped:
		m.httpStamped.Add(1)
	case intake.OutcomeLimited:
		m.httpLimited.Add(1)
	default:
		m.httpRefused.Add(1)
	}
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("kentongan_"+name, help, labels, nil)
}

var (
	descConnections = desc("connections", "Open connections.", "dialect")
	descOpened      = desc("connections_opened_total", "Connections that were opened.", "dialect")
	descClosed      = desc("connections_closed_total", "Connections that ended, by the name of the close code.", "code")
	descDenied      = desc("requests_denied_total", "Upgrades, streams and requests that were refused.", "reason")
	descMessagesOut = desc("messages_out_total", "Publications written or queued for clients.", "dialect")
	descBytesOut    = desc("bytes_out_total", "Bytes written or queued for clients.")
	descMessagesIn  = desc("client_messages_total", "Messages from clients.")
	descBytesIn     = desc("client_bytes_total", "Bytes from clients.")
	descBacklog     = desc("backlog_bytes", "Bytes that wait for clients that do not keep up.")
	descSlow        = desc("slow_closed_total", "Clients closed because their backlog was full.")
	descHalfOpen    = desc("half_open_closed_total", "Clients closed because they gave no sign of life.")
	descViolations  = desc("violations_closed_total", "Clients closed because they broke the protocol or a limit.")
	descGaps        = desc("gaps_told_total", "Gaps told to connected clients.")
	descStale       = desc("stale", "1 while clients are told that what they see may be old.")
	descStaleTold   = desc("stale_told_total", "Clients told that what they see may be old, or that it is fresh again.")
	descReplayed    = desc("replayed_total", "Publications sent out of history.")
	descResumes     = desc("resumes_total", "Channels that clients resumed.", "outcome")
	descBareResumes = desc("bare_resumes_total", "Bare clients that were known again, by how they went on.", "outcome")
	descDevicesLost = desc("bare_forgotten_total", "Bare clients that came back and were not remembered: they are told gaps.")
	descTenants     = desc("tenants_followed", "Tenants that this node follows.")
	descSubs        = desc("subscriptions", "Subscriptions on this node.")
	descQueue       = desc("hub_queue", "Publications that wait for a shard of the hub.")
	descIntake      = desc("intake_total", "Publications by door and outcome.", "door", "outcome")
	descChecked     = desc("schema_checked_total", "Publications that were compared with the schema of their channel.")
	descMismatches  = desc("schema_mismatches_total", "Of these, those that did not fit, by what became of them.", "outcome")
	descHeld        = desc("quarantine_total", "Refused messages of plain PUBLISH, by whether the quarantine has them.", "outcome")
	descDoor        = desc("redis_door_connections", "Open connections at the Redis door.")
	descDoorDenied  = desc("redis_door_denied_total", "Wrong keys at the Redis door.")
	descDoorOut     = desc("redis_door_messages_out_total", "Messages written to subscribers at the Redis door.")
	descDoorSlow    = desc("redis_door_slow_closed_total", "Subscribers at the Redis door closed because they did not read.")
	descDoorPassed  = desc("redis_door_passed_total",
		"Commands of Redis at the Redis door: passed on and answered, refused, or not answered.", "outcome")
	descClaimed        = desc("intake_stream_claimed_total", "Entries of the durable stream taken over from other nodes.")
	descBreaks         = desc("intake_breaks_total", "Times that nobody could go on with what was published: a gap was told to all.")
	descHolder         = desc("intake_holder", "1 on the node that stamps what is published with plain PUBLISH.")
	descTakes          = desc("intake_takeovers_total", "Times that this node became the one that stamps plain PUBLISH.", "cause")
	descFeeds          = desc("intake_connections", "Connections that hear plain PUBLISH now.")
	descFeedsBroken    = desc("intake_connections_broken_total", "Connections that heard plain PUBLISH and broke.")
	descWaiting        = desc("intake_waiting", "Messages of plain PUBLISH that are not known to be stamped.")
	descWaitingBytes   = desc("intake_waiting_bytes", "Their bytes.")
	descAlignments     = desc("intake_alignments_total", "Times that this node found its place among those that hear plain PUBLISH.")
	descFenced         = desc("intake_fenced_total", "Batches of plain PUBLISH refused because another node stamps.")
	descMiscounts      = desc("intake_miscounts_total", "Times that two connections or nodes did not count the same messages.")
	descDeaf           = desc("intake_deaf_total", "Connections given up because what was published did not come over them.")
	descEngineUp       = desc("engine_up", "1 if the engine can be reached.", "engine")
	descPublished      = desc("engine_published_total", "Publications stamped by this node.")
	descDuplicates     = desc("engine_duplicates_total", "Publications answered with an earlier position.")
	descRefused        = desc("engine_refused_total", "Publications not taken because the queue was full.")
	descDelivered      = desc("engine_delivered_total", "Publications handed to the hub.")
	descRepaired       = desc("engine_repaired_total", "Of these, read from history because no copy of them came.")
	descEngineGaps     = desc("engine_gaps_total", "Gaps that the engine declared.")
	descReconnects     = desc("engine_reconnects_total", "Reconnects of the subscribing connection.")
	descEvicted        = desc("engine_evicted_total", "Publications that left the history early, for want of memory.")
	descHistoryBytes   = desc("engine_history_bytes", "Bytes of history in memory.")
	descWeaknesses     = desc("engine_weaknesses", "Settings of Redis by which it can lose what it was given.")
	descEngineQueue    = desc("engine_queue", "Publications that wait to be sent to the engine.")
	descDatabaseUp     = desc("database_up", "1 if the database of the production service can be reached.")
	descRelayed        = desc("relay_events_total", "Events of the production service, by what became of them.", "outcome")
	descRelayRetries   = desc("relay_retries_total", "Times that events could not be published, or marked, and were tried again.")
	descRelayBacklog   = desc("relay_backlog", "Events that wait to be published, in the whole database.")
	descRelayOldest    = desc("relay_oldest_seconds", "How long the oldest of them waits.")
	descWatchLooked    = desc("watch_looked_total", "Batches and kitchens in which time alone may have changed something.")
	descWatchCommitted = desc("watch_committed_total", "Of these, those in which it had.")
	descWatchPass      = desc("watch_pass_seconds", "How long the last look at all that was due took.")
	descRecorded       = desc("recorded_total",
		"Messages about productions that an app published by itself, by whether the record has them.", "outcome")
	descFlagged     = desc("recorded_flagged_total", "Of these, messages with something that cannot be right.")
	descRecordWaits = desc("recorded_waiting", "Messages that wait to be recorded.")
	descWebhook     = desc("webhook_notices_total", "Calls for alerts that nobody has answered, by outcome.", "outcome")
	descRoundTrip   = desc("engine_round_trip_seconds", "Round trip of the last ping to the engine.")
)

// Describe implements prometheus.Collector. It describes nothing, so the registry does not check what Collect sends
// against it; a test does.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		send(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) { send(d, prometheus.GaugeValue, v, labels...) }
	m.collectGateway(counter, gauge)
	m.collectIntake(counter, gauge)
	m.collectDoors(counter, gauge)
	m.collectEngine(counter, gauge)
	m.collectCache(counter, gauge)
	m.collectRecords(counter, gauge)
	m.collectEdge(counter, gauge)
	m.collectTraces(counter)
}

type (
	counterFunc func(d *prometheus.Desc, v uint64, labels ...string)
	gaugeFunc   func(d *prometheus.Desc, v float64, labels ...string)
)

func (m *metrics) collectGateway(counter counterFunc, gauge gaugeFunc) {
	st := m.app.gateway.Stats()
	for dialect, n := range st.Open {
		gauge(descConnections, float64(n), dialect)
		counter(descOpened, st.Opened[dialect], dialect)
		counter(descMessagesOut, st.MessagesOut[dialect], dialect)
	}
	for _, c := range protocol.Codes() {
		if _, seen := st.Closed[c.Name]; !seen {
			counter(descClosed, 0, c.Name) // a series that begins with 0 shows its first increase
		}
	}
	for code, n := range st.Closed {
		counter(descClosed, n, code)
	}
	for _, reason := range auth.Reasons() {
		if _, seen := st.Denied[reason]; !seen {
			counter(descDenied, 0, reason)
		}
	}
	for _, reason := range gateway.Reasons() {
		if _, seen := st.Denied[reason]; !seen {
			counter(descDenied, 0, reason)
		}
	}
	for reason, n := range st.Denied {
		counter(descDenied, n, reason)
	}
	counter(descBytesOut, st.BytesOut)
	counter(descMessagesIn, st.MessagesIn)
	counter(descBytesIn, st.BytesIn)
	gauge(descBacklog, float64(st.QueuedBytes))
	counter(descSlow, st.Slow)
	counter(descHalfOpen, st.HalfOpen)
	counter(descViolations, st.Violations)
	counter(descGaps, st.Gaps)
	stale := 0.0
	if st.Stale {
		stale = 1
	}
	gauge(descStale, stale)
	counter(descStaleTold, st.StaleTold)
	counter(descReplayed, st.Replayed)
	counter(descResumes, st.Recovered, "recovered")
	counter(descResumes, st.Unrecovered, "gap")
	counter(descBareResumes, st.BareRecovered, "recovered")
	counter(descBareResumes, st.BareGaps, "gap")
	counter(descDevicesLost, st.DevicesUnknown)
	h := m.app.hub.Stats()
	gauge(descTenants, float64(h.Tenants))
	gauge(descSubs, float64(h.Subscriptions))
	gauge(descQueue, float64(h.Queued))
}

func (m *metrics) collectIntake(counter counterFunc, gauge gaugeFunc) {
	counter(descIntake, m.httpStamped.Load(), "http", string(intake.OutcomeStamped))
	counter(descIntake, m.httpRefused.Load(), "http", string(intake.OutcomeRefused))
	counter(descIntake, m.httpLimited.Load(), "http", string(intake.OutcomeLimited))
	var checked, reported, refused uint64
	for _, st := range m.app.schemas.Stats() {
		checked, reported, refused = checked+st.Checked, reported+st.Reported, refused+st.Refused
	}
	counter(descChecked, checked)
	counter(descMismatches, reported, "reported")
	counter(descMismatches, refused, "refused")
	if m.app.pubsub == nil {
		return
	}
	aside := m.app.aside.Stats()
	counter(descHeld, aside.Held, "held")
	counter(descHeld, aside.Lost, "lost")
	st := m.app.pubsub.Stats()
	for outcome, n := range map[string]uint64{
		"stamped": st.Stamped, "unmatched": st.Unmatched, "invalid": st.Invalid, "mismatched": st.Mismatched, "too_large": st.TooLarge,
		"overloaded": st.Overloaded, "failed": st.Failed,
	} {
		counter(descIntake, n, "pubsub", outcome)
	}
	counter(descBreaks, st.Breaks)
	holder := 0.0
	if st.Status.Held {
		holder = 1
	}
	gauge(descHolder, holder)
	for _, cause := range stamping.Causes() {
		counter(descTakes, st.Counts.Takes[cause], string(cause))
	}
	gauge(descFeeds, float64(st.Status.Joined))
	counter(descFeedsBroken, st.Broken)
	gauge(descWaiting, float64(st.Status.Waiting))
	gauge(descWaitingBytes, float64(st.Status.Bytes))
	counter(descAlignments, st.Counts.Alignments)
	counter(descFenced, st.Counts.Fenced)
	counter(descMiscounts, st.Counts.Miscounts)
	counter(descDeaf, st.Counts.Deaf)
}

func (m *metrics) collectEngine(counter counterFunc, gauge gaugeFunc) {
	up := 1.0
	if health, can := m.app.engine.broker.(realtime.Health); can && health.Ready() != nil {
		up = 0
	}
	gauge(descEngineUp, up, m.app.engine.name)
	st := m.app.engine.stats()
	counter(descPublished, st.published)
	counter(descDuplicates, st.duplicates)
	counter(descRefused, st.refused)
	counter(descDelivered, st.delivered)
	counter(descRepaired, st.repaired)
	counter(descEngineGaps, st.gaps)
	counter(descReconnects, st.reconnects)
	counter(descEvicted, st.evicted)
	gauge(descHistoryBytes, float64(st.historyBytes))
	gauge(descWeaknesses, float64(st.weaknesses))
	gauge(descEngineQueue, float64(st.queued))
	gauge(descRoundTrip, st.roundTrip.Seconds())
}
