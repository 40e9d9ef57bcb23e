package rest

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"kentongan/production"
)

// photoPolicy leaves a photo that is opened by itself nothing to do: whatever somebody has sent as one.
const photoPolicy = "default-src 'none'; sandbox"

type photoInput struct {
	Who
	ID    string `path:"id" maxLength:"128" doc:"The id of the batch."`
	Photo string `path:"photo" maxLength:"128" doc:"The id of the photo."`
	Have  string `header:"If-None-Match" maxLength:"200" doc:"The ETag of a photo that the caller has: the answer is 304 without a body."`
}

type photoOutput struct {
	Status       int
	ContentType  string `header:"Content-Type"`
	ETag         string `header:"ETag" doc:"Of the bytes, which never change."`
	CacheControl string `header:"Cache-Control"`
	Policy       string `header:"Content-Security-Policy"`
	Body         []byte
}

// readPhotos adds the route of the bytes of a photo.
func (a *API) readPhotos() {
	o := a.declare(operation{
		id: "getPhoto", method: http.MethodGet, path: "/api/productions/{id}/photos/{photo}", tag: tagRecords,
		summary: "The bytes of a photo",
		need:    need{rights: []production.Right{production.MaySee}, look: "photo"},
	})
	picture := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	o.Responses["200"] = &huma.Response{
		Description: http.StatusText(http.StatusOK),
		Content:     map[string]*huma.MediaType{"image/jpeg": picture, "image/png": picture},
	}
	o.Responses["304"] = &huma.Response{Description: http.StatusText(http.StatusNotModified)}
	register(a, o, func(ctx context.Context, c *caller, in *photoInput) (*photoOutput, error) {
		p, err := a.opts.Store.Photo(ctx, c.tenant, in.ID, in.Photo)
		if err != nil {
			return nil, fmt.Errorf("read photo of %s: %w", in.ID, err)
		}
		out := &photoOutput{
			Status: http.StatusOK, ContentType: p.Type, ETag: `"` + p.Digest.String() + `"`, Policy: photoPolicy, Body: p.Data,
			// It may be kept by the browser, and is asked for each time: who has signed out sees it no more.
			CacheControl: "private, no-cache",
		}
		if in.Have == out.ETag {
			out.Status, out.Body = http.StatusNotModified, nil
		}
		return out, nil
	})
}
