package main

import (
	"strings"
	"testing"

	"rsc.io/qr"
)

// TestDrawQR reads the drawing back, module by module, with the light frame that a camera needs.
func TestDrawQR(t *testing.T) {
	for _, text := range []string{"a", "https://papan.example.id/signin?ticket=" + strings.Repeat("Ab1_", 90)} {
		code, err := qr.Encode(text, qr.L)
		if err != nil {
			t.Fatal(err)
		}
		var light [][]bool
		for line := range strings.Lines(drawQR(code)) {
			var up, down []bool
			for _, r := range strings.TrimSuffix(line, "\n") {
				up = append(up, r == '█' || r == '▀')
				down = append(down, r == '█' || r == '▄')
			}
			light = append(light, up, down)
		}
		if side := code.Size + 2*quiet; len(light) < side || len(light) > side+1 || len(light[0]) != side {
			t.Fatalf("drawn as %d × %d, want %d × %d", len(light[0]), len(light), side, side)
		}
		for y, row := range light {
			for x, is := range row {
				if is == code.Black(x-quiet, y-quiet) {
					t.Fatalf("module %d, %d of %q is drawn the wrong way", x-quiet, y-quiet, text)
				}
			}
		}
	}
}
