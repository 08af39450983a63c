package sim

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// TestChecksumAgainstScratch: an incremental update gives what summing up again
// would give, whatever stands in the words.
func TestChecksumAgainstScratch(t *testing.T) {
	// Words that a carry hangs on come up far too seldom by themselves.
	word := rapid.OneOf(rapid.SampledFrom([]uint16{0, 1, 0x7fff, 0x8000, 0xfffe, 0xffff}), rapid.Uint16())
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(word, 2, 12).Draw(t, "words")
		words[0] |= 1 // a header is never all zeros
		at := rapid.IntRange(1, len(words)-1).Draw(t, "at")
		new := word.Draw(t, "new")
		before := scratch(words)
		old := words[at]
		words[at] = new
		if got, want := uint16(checksum(before).replace(old, new)), scratch(words); got != want {
			t.Fatalf("%04x → %04x: got %04x, want %04x", old, new, got, want)
		}
	})
}

func scratch(words []uint16) uint16 {
	var sum uint32
	for _, w := range words {
		sum += uint32(w)
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// TestChecksumExample is the worked example of RFC 1624, section 4.
func TestChecksumExample(t *testing.T) {
	if got := checksum(0xdd2f).replace(0x5555, 0x3285); got != 0x0000 {
		t.Errorf("got %04x, want 0000", uint16(got))
	}
}

func BenchmarkChecksumAddress(b *testing.B) {
	b.ReportAllocs()
	var old, new [16]byte
	binary.BigEndian.PutUint64(new[:], 0x0102030405060708)
	c := checksum(0x1234)
	for b.Loop() {
		c = c.replaceBytes(old[:], new[:])
	}
}
