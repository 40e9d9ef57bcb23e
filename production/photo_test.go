package production

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

func jpegOf(width, height int) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, width, height)), nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func pngOf(width, height int) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestPhoto(t *testing.T) {
	add := func(s *stage, user, id string, a AddPhoto) (Result, error) {
		return s.svc.Photo(t.Context(), s.as(user), id, a)
	}

	t.Run("IsARowAnEventAndADigestInTheTrail", func(t *testing.T) {
		s := newStage(t)
		id := s.to(Cooking)
		facts, p := s.batch(id).Facts, s.batch(id).Production
		data := pngOf(8, 6)
		r := s.must(add(s, "koki", id, AddPhoto{Note: "segel rusak", Data: data}))
		k := s.store.kitchens[sppg]
		event := string(k.events[len(k.events)-1].Payload)
		audit := k.audit[len(k.audit)-1]
		digest := fmt.Sprintf("%x", sha256.Sum256(data))
		for _, want := range []string{`"photoNote":{`, r.RowID, `"image/png"`, `"width":8`, digest, "segel rusak"} {
			if !strings.Contains(event, want) {
				t.Errorf("the event lacks %s: %s", want, event)
			}
		}
		if want := fmt.Sprintf(`{"note":"segel rusak","bytes":%d,"sha256":"%s"}`, len(data), digest); audit.Action != "photo" || string(audit.Detail) != want {
			t.Errorf("the trail has %s %s; want photo %s", audit.Action, audit.Detail, want)
		}
		b := s.batch(id)
		facts.Photos = 1
		if fmt.Sprintf("%+v", b.Facts) != fmt.Sprintf("%+v", facts) || b.Production.Version != p.Version+1 || b.Production.Status != p.Status {
			t.Errorf("a photo changed more than the number of photos: %+v", b)
		}
	})

	t.Run("AlsoAfterTheEnd", func(t *testing.T) {
		s := newStage(t)
		id := s.to(Completed)
		s.must(add(s, "mutu", id, AddPhoto{Data: jpegOf(1, 1)}))
	})

	t.Run("NotOfAPlan", func(t *testing.T) {
		s := newStage(t)
		_, err := add(s, "koki", s.create(plan()), AddPhoto{Data: jpegOf(1, 1)})
		s.refused(err, CodeWrongStatus, "PREPARING", "COOKING", "QUALITY_CHECK", "COMPLETED")
	})

	t.Run("TwentyABatch", func(t *testing.T) {
		s := newStage(t)
		id := s.to(Cooking)
		for range MaxPhotoNotes {
			s.must(add(s, "koki", id, AddPhoto{Data: jpegOf(1, 1)}))
		}
		_, err := add(s, "koki", id, AddPhoto{Data: jpegOf(1, 1)})
		s.refused(err, CodeTooManyPhotos)
	})

	t.Run("AnotherPictureIsAnotherChange", func(t *testing.T) {
		s := newStage(t)
		id := s.to(Cooking)
		r := s.as("koki")
		r.Key = "satu"
		first := s.must(s.svc.Photo(t.Context(), r, id, AddPhoto{Data: jpegOf(2, 2)}))
		if again := s.must(s.svc.Photo(t.Context(), r, id, AddPhoto{Data: jpegOf(2, 2)})); !again.Repeated || again.RowID != first.RowID {
			t.Errorf("got %+v; want the first answer again", again)
		}
		_, err := s.svc.Photo(t.Context(), r, id, AddPhoto{Data: jpegOf(2, 3)})
		s.refused(err, CodeKeyReused)
	})
}

// TestPictureOf: what a picture is, its bytes say.
func TestPictureOf(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		kind string
		want string // of the error
	}{
		"JPEG":            {jpegOf(4096, 1), "image/jpeg", ""},
		"PNG":             {pngOf(1, 4096), "image/png", ""},
		"None":            {nil, "", "empty"},
		"TooWide":         {jpegOf(4097, 1), "", "4096"},
		"TooHigh":         {pngOf(1, 4097), "", "4096"},
		"TooManyBytes":    {append(jpegOf(1, 1), make([]byte, MaxPhotoBytes)...), "", "192 KiB"},
		"MarkOfJPEGAlone": {[]byte("\xff\xd8\xff"), "", "cannot be read"},
		"MarkOfPNGAlone":  {[]byte("\x89PNG\r\n\x1a\n<script>"), "", "cannot be read"},
		"HTML":            {[]byte("<!doctype html>\xff\xd8\xff"), "", "neither"},
		"SVG":             {[]byte("<svg/>"), "", "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			kind, _, err := pictureOf(c.data)
			if kind != c.kind || (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, %v; want %q, %q", kind, err, c.kind, c.want)
			}
		})
	}
}

// FuzzPictureOf: whatever is sent, it is one of two kinds with sides within bounds, or refused as a field.
func FuzzPictureOf(f *testing.F) {
	for _, data := range [][]byte{jpegOf(3, 2), pngOf(3, 2), jpegOf(3, 2)[:30], []byte("GIF89a"), nil} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, size, err := pictureOf(data)
		if err != nil {
			if kind != "" || errors.Is(err, ErrUnavailable) {
				t.Errorf("refused and called %s", kind)
			}
			return
		}
		sides := size.Width >= 1 && size.Height >= 1 && size.Width <= MaxPhotoSide && size.Height <= MaxPhotoSide
		if !sides || kind != "image/jpeg" && kind != "image/png" || len(data) > MaxPhotoBytes {
			t.Errorf("%d bytes are %s of %dx%d", len(data), kind, size.Width, size.Height)
		}
	})
}
