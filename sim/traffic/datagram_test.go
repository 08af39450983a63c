package traffic

import (
	"bytes"
	"testing"
	"time"
)

func TestADatagramComesBackAsItWas(t *testing.T) {
	for _, size := range []int{headerLen, headerLen + 1, 64, 1472} {
		b := make([]byte, size)
		fill(b[headerLen:], 1, 2)
		encode(b, kindData, 3, 4)
		before := bytes.Clone(b)
		d, err := decode(b)
		if err != nil || d.kind != kindData || d.session != 3 || d.number != 4 || !filled(d.body, 1, 2) {
			t.Errorf("size %d: %+v, %v", size, d, err)
		}
		if !bytes.Equal(b, before) {
			t.Errorf("size %d: decode altered the datagram", size)
		}
	}
}

func TestEveryFlippedBitOfADatagramIsFound(t *testing.T) {
	b := make([]byte, 80)
	fill(b[headerLen:], 1, 2)
	encode(b, kindData, 3, 4)
	for i := range len(b) * 8 {
		b[i/8] ^= 1 << (i % 8)
		if d, err := decode(b); err == nil {
			t.Errorf("bit %d: accepted as %+v", i, d)
		}
		b[i/8] ^= 1 << (i % 8)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(make([]byte, 64), kindHello, 1, 2))
	f.Add([]byte("shnt"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decode(b)
		if err != nil {
			return
		}
		again := encode(append(make([]byte, headerLen), d.body...), d.kind, d.session, d.number)
		if _, err := decode(again); err != nil {
			t.Errorf("%x was accepted, its own encoding is not", b)
		}
	})
}

func BenchmarkDatagram(b *testing.B) {
	req := UDPRequest{Datagrams: maxDatagrams, Size: 512, Rate: 1, Direction: Up}
	l := newLedger(&req)
	buf := make([]byte, req.Size)
	now := time.Now()
	b.SetBytes(int64(req.Size))
	b.ReportAllocs()
	for n := uint64(0); b.Loop(); n++ {
		fill(buf[headerLen:], 1, n%maxDatagrams)
		d, err := decode(encode(buf, kindData, 1, n%maxDatagrams))
		if err != nil {
			b.Fatal(err)
		}
		l.got(&d, 1, now)
	}
}
