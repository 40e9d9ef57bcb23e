package app

var (
	descTLSExpiry = desc("tls_expiry_timestamp_seconds",
		"When the first certificate of the public listener expires; 0 while there is none.")
	descTLSReloads = desc("tls_certificates_total",
		"Certificates that were taken into use while the server ran, or could not be.", "outcome")
)

func (m *metrics) collectEdge(counter counterFunc, gauge gaugeFunc) {
	if m.app.certs == nil {
		return
	}
	st := m.app.certs.Status()
	at := 0.0
	if !st.Expires.IsZero() {
		at = float64(st.Expires.Unix())
	}
	gauge(descTLSExpiry, at)
	counter(descTLSReloads, st.Reloads, "taken")
	counter(descTLSReloads, st.Failures, "failed")
}
