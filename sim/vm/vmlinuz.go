package vm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// payloadOf takes the compressed kernel out of a bzImage, by the header that the
// kernel's Documentation/arch/x86/boot.rst describes. The last four bytes, which
// are no part of the compressed stream, are its size when unpacked.
func payloadOf(image []byte) ([]byte, error) {
	const sects, magic, version, offset, length = 0x1f1, 0x202, 0x206, 0x248, 0x24c
	if len(image) < length+4 || string(image[magic:magic+4]) != "HdrS" {
		return nil, errors.New("no bzImage")
	}
	if v := binary.LittleEndian.Uint16(image[version:]); v < 0x208 {
		return nil, fmt.Errorf("boot protocol %#x, which does not say where the kernel is", v)
	}
	begin := uint64(image[sects]) + 1 // the boot sector itself
	if begin == 1 {
		begin = 5 // 0 means 4, for the oldest loaders' sake
	}
	begin = begin*512 + uint64(binary.LittleEndian.Uint32(image[offset:]))
	end := begin + uint64(binary.LittleEndian.Uint32(image[length:]))
	if end > uint64(len(image)) || end < begin+8 {
		return nil, errors.New("truncated")
	}
	return image[begin : end-4], nil
}

// decompressors by the bytes that a stream begins with.
var decompressors = []struct {
	magic, program string
}{
	{"\xfd7zXZ\x00", "xz"},
	{"\x28\xb5\x2f\xfd", "zstd"},
	{"\x1f\x8b", "gzip"},
}

func decompress(ctx context.Context, data []byte) ([]byte, error) {
	for _, d := range decompressors {
		if !strings.HasPrefix(string(data[:8]), d.magic) {
			continue
		}
		cmd := program(ctx, "", d.program, "-dc")
		cmd.Stdin = bytes.NewReader(data)
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s -dc: %w", d.program, err)
		}
		return out, nil
	}
	return nil, fmt.Errorf("compressed in a way that is not known: % x", data[:8])
}
