package xdp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/hwif"
)

// layout is in the names of the pinned maps. A new one is due whenever a struct of
// bpf/table.h or its meaning changes.
const layout = "_v2"

// pins is a directory on a bpffs that keeps table and links alive without us.
type pins struct {
	dir   string
	lock  *os.File // flock on the directory: one daemon at a time
	made  bool     // the directory is ours
	fresh bool     // nothing was in it
}

func badPin(err error, text string) *hwif.Error {
	kind := kindOf(err)
	if kind == hwif.KindOther {
		kind = hwif.KindInvalid
	}
	return &hwif.Error{Op: "open", Device: driverName, Kind: kind, Field: "pin", Err: err, Text: text}
}

// checkPin refuses a directory that is not, and cannot be made, on a bpffs.
func checkPin(dir string) error {
	err := onBPFfs(filepath.Dir(dir))
	if err == nil || onBPFfs(dir) == nil {
		return nil
	}
	return badPin(err, "mount one: mount -t bpf bpf /sys/fs/bpf, and give a directory in it")
}

func openPins(dir string) (*pins, error) {
	p := &pins{dir: dir}
	bad := func(err error, text string) (*pins, error) {
		err = errors.Join(err, p.release(false))
		if p.made {
			os.Remove(dir)
		}
		return nil, badPin(err, text)
	}
	if err := checkPin(dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err == nil {
		p.made = true
	} else if !errors.Is(err, fs.ErrExist) {
		return bad(err, "make its parent directory first")
	}
	f, err := os.Open(dir)
	if err != nil {
		return bad(err, "")
	}
	p.lock = f
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return bad(fmt.Errorf("lock %s: %w", dir, err), "another daemon uses this directory: end it, or give another one")
	}
	names, err := f.Readdirnames(-1)
	if err != nil {
		return bad(err, "")
	}
	p.fresh = len(names) == 0
	for _, n := range names {
		if !p.knows(n) {
			return bad(fmt.Errorf("%s is not ours, or of another version", filepath.Join(dir, n)),
				"give an empty directory, or remove this one, which ends its rules")
		}
	}
	return p, nil
}

var pinnedMaps = []string{bpfMapRules, bpfMapCounts, bpfMapHolds, bpfMapPorts, bpfMapSeen, bpfMapEgresses, bpfMapOuts, bpfMapWordsLeft}

func (p *pins) knows(name string) bool {
	for _, m := range pinnedMaps {
		if name == m+layout {
			return true
		}
	}
	for _, l := range []string{bpfProgWatchXmit, bpfProgWatchRedirect, bpfProgLeaveWord} {
		if name == l {
			return true
		}
	}
	return strings.HasPrefix(name, "port_")
}

// prepare makes the loader use the pinned maps, or pin new ones.
func (p *pins) prepare(spec *ebpf.CollectionSpec, opts *ebpf.CollectionOptions) {
	for _, m := range pinnedMaps {
		spec.Maps[m].Name = m + layout
		spec.Maps[m].Pinning = ebpf.PinByName
	}
	opts.Maps.PinPath = p.dir
}

func (p *pins) path(name string) string { return filepath.Join(p.dir, name) }

// hold pins l; a link that was pinned by that name before is let go after it.
func (p *pins) hold(l link.Link, name string) error {
	path := p.path(name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return l.Pin(path)
}

// owns reports whether XDP program id on port i is pinned here.
func (p *pins) owns(i hwif.Ifindex, id uint32) bool {
	if p == nil {
		return false
	}
	l, err := link.LoadPinnedLink(p.path(portPin(i)), nil)
	if err != nil {
		return false
	}
	defer l.Close()
	info, err := l.Info()
	return err == nil && info.XDP() != nil && info.XDP().Ifindex == uint32(i) && uint32(info.Program) == id
}

// takeOver finds the pinned link of port i. It gives nil when there is none that
// fits the mode; then it has let the old one go, so that no program of one mode
// runs with the port's flags of the other.
func (p *pins) takeOver(name string, i hwif.Ifindex, port *port, mode Mode) (link.Link, error) {
	l, err := link.LoadPinnedLink(p.path(name), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", p.path(name), err)
	}
	info, err := l.Info()
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("read %s: %w", p.path(name), err)
	}
	// XDP_ATTACHED_DRV and XDP_ATTACHED_SKB of if_link.h.
	attached := map[Mode]uint32{ModeNative: 1, ModeGeneric: 2}[mode]
	if x := info.XDP(); x != nil && x.Ifindex == uint32(i) && port.attr.Xdp != nil && port.attr.Xdp.AttachMode == attached {
		return l, nil
	}
	return nil, errors.Join(l.Unpin(), l.Close())
}

// release closes the directory; with remove, what is pinned in it goes.
func (p *pins) release(remove bool) error {
	if p.lock == nil {
		return nil
	}
	var errs []error
	if remove {
		names, err := os.ReadDir(p.dir)
		errs = append(errs, err)
		for _, n := range names {
			if p.knows(n.Name()) {
				errs = append(errs, os.Remove(p.path(n.Name())))
			}
		}
		if err := os.Remove(p.dir); err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EBUSY) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, p.lock.Close())
	p.lock = nil
	return errors.Join(errs...)
}
