package rest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"kentongan/production"
)

// picture is a JPEG.
func picture(width, height int) []byte {
	m := image.NewGray(image.Rect(0, 0, width, height))
	for i := range m.Pix {
		m.Pix[i] = byte(i)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestPhotos(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Cooking)
	where := "/api/productions/" + id + "/photos"
	data := picture(40, 30)
	digest := fmt.Sprintf("%x", sha256.Sum256(data))
	c := s.as("koki").with("Idempotency-Key", "satu")
	entry := map[string]any{"photo": data, "note": "Tutup dandang retak <b>", "takenAt": s.clock().Add(-1)}
	var added, again Changed
	c.post(where, entry).ok(http.StatusCreated).into(&added)
	if c.post(where, entry).ok(http.StatusCreated).into(&again).header.Get("Idempotency-Replayed") != "true" || again.RowID != added.RowID {
		t.Errorf("the same entry again made %s beside %s", again.RowID, added.RowID)
	}
	other := map[string]any{"photo": picture(41, 30), "note": "Tutup dandang retak <b>", "takenAt": entry["takenAt"]}
	c.post(where, other).refused(http.StatusUnprocessableEntity, "KEY_REUSED")

	var records Records
	s.as("tamu").get("/api/productions/" + id + "/records").ok(http.StatusOK).into(&records)
	if len(records.Photos) != 1 {
		t.Fatalf("there are %d photos; want one", len(records.Photos))
	}
	p := records.Photos[0]
	if p.ID != added.RowID || p.Digest.String() != digest || p.Type != "image/jpeg" || p.Width != 40 || p.Height != 30 || p.Size != len(data) ||
		p.Note != "Tutup dandang retak <b>" || p.TakenBy != "koki" {
		t.Errorf("the record is %+v", p)
	}

	got := s.as("tamu").get(where + "/" + p.ID).ok(http.StatusOK)
	if !bytes.Equal(got.body, data) {
		t.Errorf("answered %d bytes; want the %d that were sent", len(got.body), len(data))
	}
	for name, want := range map[string]string{
		"Content-Type": "image/jpeg", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
		"Cache-Control": "private, no-cache", "ETag": `"` + digest + `"`,
	} {
		if got := got.header.Get(name); got != want {
			t.Errorf("%s is %q; want %q", name, got, want)
		}
	}
	kept := s.as("tamu").with("If-None-Match", got.header.Get("ETag")).get(where + "/" + p.ID).ok(http.StatusNotModified)
	if len(kept.body) != 0 {
		t.Errorf("who has it gets %d bytes", len(kept.body))
	}
	s.as("tamu").get(where+"/x").refused(http.StatusNotFound, "NOT_FOUND")
	s.member("kepala", "SPPG_KEPALA", "sppg_2").get(where+"/"+p.ID).refused(http.StatusNotFound, "NOT_FOUND")

	var trail Trail
	s.as("kepala").get("/api/audit?limit=500").ok(http.StatusOK).into(&trail)
	found := 0
	for _, e := range trail.Entries {
		if e.Action == "photo" {
			found++
			if text := string(e.Detail); !strings.Contains(text, digest) || len(text) > 300 {
				t.Errorf("the trail says %s; want the digest and not the picture", text)
			}
		}
	}
	if found != 1 {
		t.Errorf("the trail has %d photos; want one", found)
	}

	page := s.as("kepala").get("/api/daylog?format=html&date=2026-11-26").ok(http.StatusOK)
	for _, want := range []string{`src="` + where + "/" + p.ID + `"`, "Tutup dandang retak &lt;b&gt;"} {
		if !strings.Contains(string(page.body), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "img-src 'self'") {
		t.Errorf("the page may not show it: %s", policy)
	}
	visited := string(s.as("super").get("/api/daylog?format=html&date=2026-11-26&tenant=sppg_1").ok(http.StatusOK).body)
	if !strings.Contains(visited, where+"/"+p.ID+"?tenant=sppg_1") {
		t.Error("the platform's page lacks the kitchen in the address of the photo")
	}
}

func TestPhotos_Refused(t *testing.T) {
	s := newStage(t)
	id := s.to(production.Cooking)
	noise := image.NewRGBA(image.Rect(0, 0, 400, 400))
	r := rand.New(rand.NewPCG(1, 2))
	for y := range 400 {
		for x := range 400 {
			noise.Set(x, y, color.RGBA{uint8(r.Uint32()), uint8(r.Uint32()), uint8(r.Uint32()), 255})
		}
	}
	var large bytes.Buffer
	if err := jpeg.Encode(&large, noise, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		photo  any
		reason string
	}{
		"Missing":   {nil, "is missing"},
		"Empty":     {"", "base64"},
		"NoBase64":  {"not*base64", "base64"},
		"HTML":      {[]byte("<html><script>alert(1)</script>"), "neither a JPEG nor a PNG"},
		"SVG":       {[]byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), "neither a JPEG nor a PNG"},
		"GIF":       {[]byte("GIF89a\x01\x00\x01\x00"), "neither a JPEG nor a PNG"},
		"BrokenOff": {picture(40, 30)[:20], "cannot be read"},
		"TooLarge":  {large.Bytes(), "192 KiB"},
		"TooWide":   {picture(4097, 1), "4096"},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			before := s.version(id)
			body := map[string]any{"note": "x"}
			if c.photo != nil {
				body["photo"] = c.photo
			}
			problem := s.as("koki").post("/api/productions/"+id+"/photos", body).refused(http.StatusUnprocessableEntity, "INVALID", "photo")
			if got := problem.Errors[0].Reason; !strings.Contains(got, c.reason) {
				t.Errorf("got %q; want %q", got, c.reason)
			}
			if s.version(id) != before {
				t.Error("it was written")
			}
		})
	}
}
