package vm

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"
)

// bzImage makes an image with a payload, as the boot protocol has it.
func bzImage(setup byte, payload []byte) []byte {
	sects := int(setup)
	if sects == 0 {
		sects = 4
	}
	b := make([]byte, (sects+1)*512+16)
	b[0x1f1] = setup
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(b[0x206:], 0x20f)
	binary.LittleEndian.PutUint32(b[0x248:], 16)
	binary.LittleEndian.PutUint32(b[0x24c:], uint32(len(payload)+4))
	return slices.Concat(b, payload, []byte("size and what follows"))
}

func TestPayload(t *testing.T) {
	want := []byte("\x28\xb5\x2f\xfd compressed")
	for _, setup := range []byte{0, 4, 31} {
		got, err := payloadOf(bzImage(setup, want))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d setup sectors: %q, %v", setup, got, err)
		}
	}
	whole := bzImage(4, want)
	old := slices.Clone(whole)
	binary.LittleEndian.PutUint16(old[0x206:], 0x207)
	for name, bad := range map[string][]byte{
		"no kernel": make([]byte, 8192), "truncated": whole[:len(whole)-40], "a protocol too old": old, "short": []byte("MZ"),
	} {
		if got, err := payloadOf(bad); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestDecompressUnknown(t *testing.T) {
	if _, err := decompress(t.Context(), []byte("BZh91AY&SY")); err == nil || !strings.Contains(err.Error(), "not known") {
		t.Errorf("error %v", err)
	}
}

func TestUnsigned(t *testing.T) {
	body, sig := []byte("\x7fELF module"), []byte("PKCS7 signature")
	info := make([]byte, 12)
	binary.BigEndian.PutUint32(info[8:], uint32(len(sig)))
	const magic = "~Module signature appended~\n"
	if got := unsigned(slices.Concat(body, sig, info, []byte(magic))); !bytes.Equal(got, body) {
		t.Errorf("signed: %q", got)
	}
	if got := unsigned(body); !bytes.Equal(got, body) {
		t.Errorf("without a signature: %q", got)
	}
	lies := slices.Concat(sig[:2], info, []byte(magic)) // longer than the file
	if got := unsigned(lies); !bytes.Equal(got, lies) {
		t.Errorf("a length that cannot be: %q", got)
	}
}

func TestParseInfo(t *testing.T) {
	got := parseInfo([]byte("license=GPL\x00depends=nf_conntrack,nf-nat\x00retpoline=Y\x00"))
	if want := []string{"nf_conntrack", "nf_nat"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := parseInfo([]byte("depends=\x00name=x\x00")); len(got) != 0 {
		t.Errorf("got %q for none", got)
	}
}

// module makes what an index reads: an ELF file with one section, .modinfo, and
// the table of names.
func module(depends string) []byte {
	names, info := "\x00.modinfo\x00.shstrtab\x00", "license=GPL\x00depends="+depends+"\x00"
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	le := binary.LittleEndian
	le.PutUint16(b[16:], 1)  // relocatable
	le.PutUint16(b[18:], 62) // x86-64
	le.PutUint32(b[20:], 1)
	at := 64 + len(names) + len(info)
	le.PutUint64(b[40:], uint64(at)) // section headers
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[58:], 64)
	le.PutUint16(b[60:], 3)
	le.PutUint16(b[62:], 2) // names are in the last section
	b = append(append(b, names...), info...)
	section := func(name, kind uint32, offset, size int) {
		h := make([]byte, 64)
		le.PutUint32(h, name)
		le.PutUint32(h[4:], kind)
		le.PutUint64(h[24:], uint64(offset))
		le.PutUint64(h[32:], uint64(size))
		b = append(b, h...)
	}
	section(0, 0, 0, 0)
	section(1, 1, 64+len(names), len(info))
	section(10, 3, 64, len(names))
	return b
}

func TestOrder(t *testing.T) {
	have := map[string]string{
		"kernel/net/sched/act_csum.ko":         "libcrc32c",
		"kernel/lib/libcrc32c.ko":              "",
		"kernel/crypto/crc32c_generic.ko":      "",
		"kernel/net/netfilter/nf-nat.ko":       "nf_conntrack,libcrc32c,garp",
		"kernel/net/netfilter/nf_conntrack.ko": "libcrc32c",
		"kernel/net/lost.ko":                   "nowhere",
	}
	x := newIndex(strings.Join(slices.Collect(maps.Keys(have)), "\n"), "kernel/net/802/garp.ko\n",
		func(file string) ([]byte, error) { return module(have[file]), nil })
	got, err := x.order([]string{"crc32c_generic", "act_csum", "nf_nat", "garp"})
	want := []string{"kernel/crypto/crc32c_generic.ko", "kernel/lib/libcrc32c.ko", "kernel/net/sched/act_csum.ko",
		"kernel/net/netfilter/nf_conntrack.ko", "kernel/net/netfilter/nf-nat.ko"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	for _, name := range []string{"cls_flower", "lost"} {
		if got, err := x.order([]string{name}); err == nil {
			t.Errorf("%s, which cannot be loaded: %q", name, got)
		}
	}
	if got := x.had([]string{"cls_flower", "nf_nat", "garp"}); !slices.Equal(got, []string{"nf_nat"}) {
		t.Errorf("had %q", got)
	}
}

// TestModulesComplete: act_csum fails to load when its checksum comes later.
func TestModulesComplete(t *testing.T) {
	if i, j := slices.Index(modules, "crc32c_generic"), slices.Index(modules, "act_csum"); i < 0 || j < i {
		t.Errorf("crc32c_generic is at %d, act_csum at %d", i, j)
	}
}

func TestModulePath(t *testing.T) {
	k := &Kernel{Release: "6.12-amd64"}
	if got, want := k.modulePath("kernel/net/sched/act_csum.ko.xz"), "/lib/modules/6.12-amd64/kernel/net/sched/act_csum.ko"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
