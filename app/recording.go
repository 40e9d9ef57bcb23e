package app

import (
	"context"

	"kentongan/production"
	"kentongan/production/observe"
	"kentongan/realtime"
	"kentongan/tenant"
)

// newRecorder makes what keeps what an app publishes by itself; nil: nobody wants that.
func (r *records) newRecorder() *observe.Recorder {
	if !r.cfg.RecordApp {
		return nil
	}
	return observe.New(r, observe.Options{Log: r.app.log})
}

// Observe implements observe.Service: the service is there when the database is.
func (r *records) Observe(ctx context.Context, t tenant.ID, id string, payload []byte) ([]string, error) {
	p := r.parts.Load()
	if p == nil {
		return nil, production.ErrUnavailable
	}
	return p.service.Observe(ctx, t, id, payload) //nolint:wrapcheck // it says all
}

// recorder returns what keeps what an app publishes by itself; nil: that is not wanted.
func (a *App) recorder() *observe.Recorder {
	if a.records == nil {
		return nil
	}
	return a.records.recorder
}

// heard takes what came in at a door. What the service itself publishes comes in at none.
func (a *App) heard(id string, ch realtime.Channel, data []byte) {
	if observe.Wants(ch.Name) {
		a.recorder().Heard(ch.Tenant, id, data)
	}
}

// publishers returns how a door publishes: through the engine alone, or so that it is checked, recorded, and traced.
func (a *App) publishers(door string) (realtime.Broker, realtime.AsyncPublisher) {
	if a.recorder() == nil && a.schemas == nil && a.traces == nil {
		return a.engine.broker, a.engine.acks
	}
	b := a.checked(engineBroker{a.engine.broker, a.engine.acks})
	if a.recorder() != nil {
		b = recording{b, a}
	}
	b = a.traced(b, door)
	return b, b
}

// recording is a broker whose publications are recorded as soon as they are stored. Their channel and position are the id: a publication
// that is answered a second time is recorded once.
type recording struct {
	broker
	app *App
}

// Publish implements realtime.Broker.
func (r recording) Publish(
	ctx context.Context, ch realtime.Channel, data []byte, opts realtime.PublishOptions,
) (realtime.Published, error) {
	p, err := r.broker.Publish(ctx, ch, data, opts)
	if err == nil {
		r.app.heard(ch.Name+"@"+p.Position.String(), ch, data)
	}
	return p, err //nolint:wrapcheck // it stands for the engine
}

// PublishAsync implements realtime.AsyncPublisher.
func (r recording) PublishAsync(ch realtime.Channel, data []byte, opts realtime.PublishOptions, done func(realtime.Published, error)) {
	r.broker.PublishAsync(ch, data, opts, func(p realtime.Published, err error) {
		if err == nil {
			r.app.heard(ch.Name+"@"+p.Position.String(), ch, data)
		}
		if done != nil {
			done(p, err)
		}
	})
}
