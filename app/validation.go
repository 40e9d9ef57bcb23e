package app

import (
	"context"
	"fmt"
	"net/http"

	"kentongan/internal/answer"
	"kentongan/realtime"
	"kentongan/realtime/schema"
)

// newSchemas makes the rules by which publications are checked; nil: none are.
func (a *App) newSchemas() (*schema.Set, error) {
	s, err := schema.NewSet(a.names, a.cfg.Channels.Rules, a.log)
	if err != nil {
		return nil, fmt.Errorf("validation: %w", err)
	}
	return s, nil
}

// fits returns how publications are judged; nil: they are not, which then costs nothing.
func (a *App) fits() func(realtime.Channel, []byte) *realtime.Mismatch {
	if a.schemas == nil {
		return nil
	}
	return a.schemas.Judge
}

// checked returns p so that it refuses what does not fit its schema. What is no JSON is left to p.
func (a *App) checked(p broker) broker {
	if a.schemas == nil {
		return p
	}
	return checking{p, a.schemas}
}

// broker is what the doors need of an engine.
type broker interface {
	realtime.Broker
	realtime.BurstPublisher
}

// engineBroker is the engine as a broker.
type engineBroker struct {
	realtime.Broker
	realtime.AsyncPublisher
}

// Flush implements realtime.BurstPublisher, if the engine does.
func (b engineBroker) Flush() {
	if burst, ok := b.AsyncPublisher.(realtime.BurstPublisher); ok {
		burst.Flush()
	}
}

// checking is a broker that refuses what does not fit.
type checking struct {
	broker
	schemas *schema.Set
}

// Publish implements realtime.Broker.
func (c checking) Publish(
	ctx context.Context, ch realtime.Channel, data []byte, opts realtime.PublishOptions,
) (realtime.Published, error) {
	if wrong := c.schemas.Judge(ch, data); wrong != nil {
		return realtime.Published{}, wrong
	}
	return c.broker.Publish(ctx, ch, data, opts) //nolint:wrapcheck // it stands for the engine
}

// PublishAsync implements realtime.AsyncPublisher.
func (c checking) PublishAsync(ch realtime.Channel, data []byte, opts realtime.PublishOptions, done func(realtime.Published, error)) {
	if wrong := c.schemas.Judge(ch, data); wrong != nil {
		if done != nil {
			done(realtime.Published{}, wrong)
		}
		return
	}
	c.broker.PublishAsync(ch, data, opts, done)
}

// serveValidation says how the publications of each pattern are checked, and what was found on this node since its start.
func (a *App) serveValidation(w http.ResponseWriter, _ *http.Request) {
	stats := a.schemas.Stats()
	if stats == nil {
		for _, r := range a.cfg.Channels.Rules {
			one := schema.Stats{Spelling: r.Spelling, Mode: r.Mode}
			if r.Schema != nil {
				one.Schema = r.Schema.Name()
			}
			stats = append(stats, one)
		}
	}
	answer.JSON(w, http.StatusOK, struct {
		Patterns []schema.Stats `json:"patterns"`
	}{stats})
}

// serveAsyncAPI answers with the document of the channels. It tells nothing of any kitchen, so nobody is asked who they are.
func (a *App) serveAsyncAPI(w http.ResponseWriter, _ *http.Request) {
	body, err := schema.AsyncAPI(a.names, a.cfg.Channels.Rules, a.opts.Version)
	if err != nil {
		a.log.Error("asyncapi document cannot be made", "err", err)
		answer.Error(w, http.StatusInternalServerError, "INTERNAL", "something went wrong here; it was logged")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/vnd.aai.asyncapi+json;version=3.0.0")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // a client that has gone is no error of ours
}
