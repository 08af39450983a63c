package vm

import (
	"bytes"
	"encoding/binary"
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
	return append(append(b, payload...), "size and what follows"...)
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

const modulesDep = `kernel/net/sched/act_csum.ko.xz: kernel/lib/libcrc32c.ko.xz
kernel/lib/libcrc32c.ko.xz:
kernel/crypto/crc32c_generic.ko.xz:
kernel/net/netfilter/nf-nat.ko: kernel/net/netfilter/nf_conntrack.ko kernel/lib/libcrc32c.ko.xz
kernel/net/netfilter/nf_conntrack.ko: kernel/lib/libcrc32c.ko.xz
`

func TestOrder(t *testing.T) {
	x := parseIndex(modulesDep, "kernel/net/802/garp.ko\n")
	got, err := x.order([]string{"crc32c_generic", "act_csum", "nf_nat", "garp"})
	want := []string{"kernel/crypto/crc32c_generic.ko.xz", "kernel/lib/libcrc32c.ko.xz", "kernel/net/sched/act_csum.ko.xz",
		"kernel/net/netfilter/nf_conntrack.ko", "kernel/net/netfilter/nf-nat.ko"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := x.order([]string{"cls_flower"}); err == nil || !strings.Contains(err.Error(), "cls_flower") {
		t.Errorf("a module that is nowhere: %v", err)
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
