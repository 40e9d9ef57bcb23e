package production

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"image"
	"image/jpeg"
	"image/png"
)

const (
	// MaxPhotoBytes is how large a photo may be. The board sends half of it at most; in base64 it is 256 KiB, a minute of a line on
	// which nothing else works any more.
	MaxPhotoBytes = 192 << 10

	// MaxPhotoNotes bounds the photos of a batch: with the largest ones 3.75 MiB, and what a cook can take and an inspector look at.
	MaxPhotoNotes = 20

	// MaxPhotoSide bounds width and height, in pixels: what claims to be larger is made to fill the memory of who looks at it.
	MaxPhotoSide = 4096
)

// Photo is a picture with a few words, which somebody added to a batch. It is added, never changed, and has no effect in the rules.
type Photo struct {
	ID           string  `json:"id"`
	ProductionID string  `json:"productionId"`
	Note         string  `json:"note,omitempty"` // at most 500 characters
	Type         string  `json:"contentType"`    // image/jpeg or image/png, by its bytes
	Size         int     `json:"bytes"`
	Width        int     `json:"width"` // pixels
	Height       int     `json:"height"`
	Digest       Hash    `json:"sha256"`     // of its bytes
	TakenAt      Instant `json:"takenAt"`    // by the clock of the device
	ReceivedAt   Instant `json:"receivedAt"` // by the server's clock
	TakenBy      string  `json:"takenBy"`
	ClockOff     bool    `json:"clockOff,omitempty"`

	// Data are its bytes: of a photo that is added, and of what Lists.Photo returns. They are in no event and no list.
	Data []byte `json:"-"`
}

// AddPhoto adds a photo with a note.
type AddPhoto struct {
	Note string
	Data []byte // JPEG or PNG, at most MaxPhotoBytes
}

func (AddPhoto) verb() string { return "photo" }

// MarshalJSON names the photo by its digest: the audit trail and the fingerprint of a change prove which one it was, and do not hold it.
func (a AddPhoto) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Note   string `json:"note,omitempty"`
		Size   int    `json:"bytes"`
		Digest Hash   `json:"sha256"`
	}{a.Note, len(a.Data), sha256.Sum256(a.Data)})
}

// photo adds a photo, in whatever status the batch is, but for a plan: as with readings, what a bad line held up is never lost.
func (d *draft) photo(a AddPhoto) error {
	if err := d.allowed(MayMeasure); err != nil {
		return err
	}
	var bad fields
	bad.text("note", a.Note, 0, 500)
	kind, size, err := pictureOf(a.Data)
	if err != nil {
		bad.add("photo", "%s", err)
	}
	if err := bad.refusal(); err != nil {
		return err
	}
	if d.p.Status == Planned {
		return d.within(Preparing, Cooking, QualityCheck, Completed)
	}
	if d.f.Photos >= MaxPhotoNotes {
		return refuse(ErrRefused, CodeTooManyPhotos, "the batch has as many photos as it can have")
	}
	d.f.Photos++
	row := Photo{
		ID: d.c.NewID, ProductionID: d.p.ID, Note: a.Note, Type: kind, Size: len(a.Data), Width: size.Width, Height: size.Height,
		Digest: sha256.Sum256(a.Data), TakenAt: d.takenAt(), ReceivedAt: d.now, TakenBy: d.c.Actor.ID(), ClockOff: d.clockOff, Data: a.Data,
	}
	d.commit.Photos = append(d.commit.Photos, row)
	d.extra = append(d.extra, member{"photoNote", row})
	d.result.RowID = row.ID
	return nil
}

// pictures are the kinds that every browser shows, by how they begin. Others that image can read are none: SVG runs scripts, and
// what a decoder takes for a picture depends on who else has registered one.
var pictures = []struct {
	kind, begin string
	config      func(*bytes.Reader) (image.Config, error)
}{
	{"image/jpeg", "\xff\xd8\xff", func(r *bytes.Reader) (image.Config, error) { return jpeg.DecodeConfig(r) }},
	{"image/png", "\x89PNG\r\n\x1a\n", func(r *bytes.Reader) (image.Config, error) { return png.DecodeConfig(r) }},
}

// pictureOf says what kind of picture data is, by its bytes and not by what anybody calls it, and how large.
func pictureOf(data []byte) (kind string, size image.Config, err error) {
	if len(data) == 0 {
		return "", size, errors.New("is empty")
	}
	if len(data) > MaxPhotoBytes {
		return "", size, errors.New("is larger than 192 KiB")
	}
	for _, p := range pictures {
		if !bytes.HasPrefix(data, []byte(p.begin)) {
			continue
		}
		size, err := p.config(bytes.NewReader(data))
		switch {
		case err != nil:
			return "", size, errors.New("begins as " + p.kind + " and cannot be read as one")
		case size.Width < 1 || size.Height < 1 || size.Width > MaxPhotoSide || size.Height > MaxPhotoSide:
			return "", size, errors.New("want 1 to 4096 pixels a side")
		}
		return p.kind, size, nil
	}
	return "", size, errors.New("is neither a JPEG nor a PNG")
}
