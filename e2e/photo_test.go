//go:build unix

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"net/http"
	"strings"
	"testing"
	"time"
)

// snapshot is what a camera leaves on a tablet: large, lying on its side, and telling where and with what it was taken.
func snapshot(t testing.TB, width, height int) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetRGBA(x, y, color.RGBA{uint8(x * 255 / width), uint8(y * 255 / height), uint8((x ^ y) & 0x7f), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	// Exif: little-endian TIFF with one entry, Orientation = 6 (turn it right to see it), and behind it what must not get out.
	exif := []byte("Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00GPS 6.9147S 107.6098E")
	out := []byte{0xff, 0xd8, 0xff, 0xe1, 0, byte(len(exif) + 2)}
	return append(append(out, exif...), b.Bytes()[2:]...)
}

// takePhoto opens the sheet and picks a file, as the dialogue of the browser or its camera would.
func (s *screen) takePhoto(data []byte, note string) {
	s.t.Helper()
	s.tap(".action", "Tambah Foto")
	s.wait(`document.getElementById('camera')?.getAttribute('capture') === 'environment' && document.getElementById('file') !== null`)
	s.run(fmt.Sprintf(`((input, list) => {
		list.items.add(new File([Uint8Array.from(atob(%q), (c) => c.charCodeAt(0))], 'IMG_2041.JPG', { type: 'image/jpeg' }))
		input.files = list.files
		input.dispatchEvent(new Event('change', { bubbles: true }))
	})(document.getElementById('file'), new DataTransfer())`, base64.StdEncoding.EncodeToString(data)))
	if note != "" {
		s.run(fmt.Sprintf(`((e) => { e.value = %q; e.dispatchEvent(new Event('input', { bubbles: true })) })(document.querySelector('.sheet textarea'))`, note))
	}
}

// drawn waits until n photos are seen that wait on the device.
func (s *screen) drawn(n int) {
	s.t.Helper()
	s.wait(fmt.Sprintf(`[...document.querySelectorAll('.photos canvas')].filter((c) => c.width === 960 && c.height === 1280).length === %d`, n))
}

// takesPhotos takes a photo without a line, switches the tablet off and on again, and looks at what others get when the line is back.
func (k *kitchenServer) takesPhotos(t *testing.T, chromium context.Context) {
	id := k.plan("ikan", 4, 320, -time.Hour)
	k.cookUntil(id, "COOKING")
	network := newLine(t, k.Addr)
	head := k.show(chromium, member(k.kitchen, "kepala"), k.Addr, "tablet/b/"+id, tabletWidth, tabletHeight)
	head.waitText("ikan kuah kuning")
	s := k.show(chromium, tablet(k.kitchen), network.Addr, "tablet/b/"+id, tabletWidth, tabletHeight)
	s.waitText("ikan kuah kuning")
	s.wait(`navigator.serviceWorker.controller !== null`)
	s.wait(`JSON.parse(localStorage.getItem('kentongan.kitchen') ?? '{}').productions?.some((p) => p.id === ` + quoted(id) + ` && p.status === 'COOKING')`)
	network.Cut()
	s.takePhoto([]byte("this is no picture"), "")
	s.waitText("Gambar ini tidak bisa dibaca")
	s.tap("#save", "Simpan")
	s.waitText("Ambil atau pilih foto dulu.")
	s.tap(".sheet .action", "Tutup")
	s.takePhoto(snapshot(t, 2400, 1800), "segel dandang rusak")
	s.wait(`document.querySelector('.sheet canvas')?.width === 960`) // it stands upright
	s.accessible("photo sheet")
	s.picture("tablet-photo")
	s.tap("#save", "Simpan")
	s.drawn(1)
	s.wait(`document.querySelector('.photos .badge') !== null && /1 belum terkirim/.test(document.getElementById('banner').innerText)`)
	s.accessible("photos that wait")
	s.open("about:blank")
	s.open("http://" + network.Addr + "/#tablet/b/" + id)
	s.drawn(1) // it is still there
	network.Mend()
	const shown = `[...document.querySelectorAll('.photos img')].filter((i) => i.complete && i.naturalWidth === 960 && i.naturalHeight === 1280 && i.alt.includes('segel dandang rusak')).length`
	for _, screen := range []*screen{s, head} {
		screen.run(`document.getElementById('h-photos').scrollIntoView()`) // what is out of sight is not loaded
		screen.wait(shown + ` === 1 && document.querySelector('.photos canvas') === null`)
	}
	s.accessible("photos")
	s.picture("tablet-photos")

	records := k.ask("gizi", http.MethodGet, "/api/productions/"+id+"/records", nil, http.StatusOK)
	list, _ := records["photoNotes"].([]any)
	if len(list) != 1 {
		t.Fatalf("the server has %d photos; want one", len(list))
	}
	row, _ := list[0].(map[string]any)
	where := "/api/productions/" + id + "/photos/" + field(t, row, "id")
	status, data := k.fetch("gizi", k.kitchen, where)
	if status != http.StatusOK || len(data) > 96<<10 || bytes.Contains(data, []byte("Exif")) || bytes.Contains(data, []byte("GPS")) {
		t.Errorf("GET %s: %d, %d bytes; want at most 96 KiB without what the camera wrote", where, status, len(data))
	}
	if size, err := jpeg.DecodeConfig(bytes.NewReader(data)); err != nil || size.Width != 960 || size.Height != 1280 {
		t.Errorf("the photo is %+v, %v; want a JPEG of 960x1280", size, err)
	}
	if status, _ := k.fetch("kepala", "sppg_8", where); status != http.StatusNotFound {
		t.Errorf("another kitchen gets %d; want 404", status)
	}
	t.Logf("a photo of 2400x1800 pixels and %d bytes is kept as %d bytes", len(snapshot(t, 2400, 1800)), len(data))

	head.turn("day")
	head.waitText("segel dandang rusak")
	head.wait(`(() => { // what is out of sight is not loaded, and the log may be drawn anew
		const photo = document.querySelector('.log img');
		photo?.scrollIntoView({ block: 'center' });
		return photo?.naturalWidth === 960;
	})()`)
	head.accessible("day with a photo")
	head.picture("day-photo")
	head.open("http://" + k.Addr + "/api/daylog?format=html&date=" + k.day)
	head.wait(`[...document.querySelectorAll('figure img')].some((i) => i.complete && i.naturalWidth === 960)`)
	head.picture("print-photo")
}

// overtakesPhotos has a line through which photos do not get: temperatures that are entered after one are on the server all the same.
func (k *kitchenServer) overtakesPhotos(t *testing.T, chromium context.Context) {
	id := k.plan("ikan", 6, 280, -time.Hour)
	k.cookUntil(id, "COOKING")
	network := newLine(t, k.Addr)
	s := k.show(chromium, tablet(k.kitchen), network.Addr, "tablet/b/"+id, tabletWidth, tabletHeight)
	s.waitText("ikan kuah kuning")
	network.Narrow(true)
	s.takePhoto(snapshot(t, 1200, 900), "dandang")
	s.wait(`document.querySelector('.sheet canvas') !== null`)
	s.tap("#save", "Simpan")
	s.wait(`document.querySelector('.sheet') === null && document.querySelector('.photos .badge') !== null`)
	for i := range 3 {
		s.tap(".action", "Catat Suhu")
		s.keys(fmt.Sprintf("%d,5", 70+i))
		s.tap("#save", "Simpan")
		s.wait(fmt.Sprintf(`document.querySelector('.sheet') === null && document.querySelector('.one-head').innerText.includes('%d,5 °C')`, 70+i))
		eventually(t, "the temperature is on the server", func() bool {
			readings, _ := k.ask("kepala", http.MethodGet, "/api/productions/"+id+"/readings", nil, http.StatusOK)["readings"].([]any)
			return len(readings) == i+1
		})
	}
	s.turn("tablet/unsent")
	s.waitText("Dikirim tersendiri; catatan lain tidak menunggunya")
	s.wait(`document.querySelectorAll('.unsent-line').length === 1`) // the server had the entry, its answer comes through the narrow line
	if waiting := s.list(`[...document.querySelectorAll('.unsent-line')].map((e) => e.innerText)`); len(waiting) != 1 || !strings.HasPrefix(waiting[0], "Foto") {
		t.Errorf("on the tablet wait %q; want the photo alone", waiting)
	}
	s.accessible("a photo that waits alone")
	s.picture("tablet-photo-waits")
	network.Narrow(false)
	network.HangUp()
	s.waitText("Semua catatan sudah terkirim.")
	records := k.ask("gizi", http.MethodGet, "/api/productions/"+id+"/records", nil, http.StatusOK)
	if list, _ := records["photoNotes"].([]any); len(list) != 1 {
		t.Errorf("the server has %d photos; want one", len(list))
	}
}

// fetch gets bytes as a member of staff of a kitchen.
func (k *kitchenServer) fetch(who, kitchen, path string) (status int, body []byte) {
	k.t.Helper()
	req, err := http.NewRequestWithContext(k.t.Context(), http.MethodGet, "http://"+k.Addr+path, http.NoBody)
	if err != nil {
		k.t.Fatal(err)
	}
	u := member(kitchen, who)
	req.Header.Set("Cookie", u.cookie+"="+u.token(k.t))
	status, text := do(k.t, req)
	return status, []byte(text)
}
