package app

var descSpans = desc("traces_spans_total",
	"Spans of traces, by what became of them: sent, not taken by the collector, or no room.", "outcome")

func (m *metrics) collectTraces(counter counterFunc) {
	if m.app.traces == nil {
		return
	}
	st := m.app.traces.Stats()
	counter(descSpans, st.Sent, "sent")
	counter(descSpans, st.Failed, "failed")
	counter(descSpans, st.Dropped, "dropped")
}
