package hwif_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
)

func TestErrorText(t *testing.T) {
	cause := errors.New("no space left on device")
	for want, e := range map[string]*hwif.Error{
		"install xdp eth0: full: no space left on device (table of 1024)": {Op: "install", Device: "xdp", Port: "eth0",
			Kind: hwif.KindFull, Err: cause, Text: "table of 1024"},
		"install ice: unsupported: set ip src": {Op: "install", Device: "ice", Kind: hwif.KindUnsupported, Field: "set ip src"},
		"list: other":                          {Op: "list"},
	} {
		if e.Error() != want {
			t.Errorf("got  %s\nwant %s", e, want)
		}
	}
	e := &hwif.Error{Op: "install", Kind: hwif.KindFull, Err: cause}
	if !errors.Is(e, cause) || !errors.Is(e, hwif.ErrFull) || errors.Is(e, hwif.ErrBusy) {
		t.Error("an error is its cause and its kind, and nothing else")
	}
}

func TestKindOf(t *testing.T) {
	sentinels := map[hwif.Kind]error{
		hwif.KindUnsupported: hwif.ErrUnsupported, hwif.KindFull: hwif.ErrFull, hwif.KindBusy: hwif.ErrBusy,
		hwif.KindExist: hwif.ErrExist, hwif.KindNotExist: hwif.ErrNotExist, hwif.KindInvalid: hwif.ErrInvalid,
		hwif.KindGone: hwif.ErrGone, hwif.KindPermission: hwif.ErrPermission,
	}
	for _, k := range hwif.Kinds() {
		err := fmt.Errorf("wrapped: %w", &hwif.Error{Kind: k})
		if got := hwif.KindOf(err); got != k {
			t.Errorf("KindOf an Error of %s is %s", k, got)
		}
		s, has := sentinels[k]
		if has != (k != hwif.KindOther) {
			t.Errorf("%s has no sentinel", k)
		}
		if has && (!errors.Is(err, s) || hwif.KindOf(fmt.Errorf("wrapped: %w", s)) != k) {
			t.Errorf("%s and its sentinel do not agree", k)
		}
	}
	if hwif.KindOf(errors.New("whatever")) != hwif.KindOther || hwif.KindOf(nil) != hwif.KindOther {
		t.Error("an error without a kind is other")
	}
	if k := hwif.Kind(200); k.String() != "other" || k.Retry() || errors.Is(&hwif.Error{Kind: k}, hwif.ErrFull) {
		t.Error("a kind out of range is harmless")
	}
}
