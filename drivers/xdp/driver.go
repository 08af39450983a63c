package xdp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/shunt-offload/shunt/hwif"
)

// maxPorts is MAX_PORTS of bpf/table.h.
const maxPorts = 256

// Driver opens the emulated NIC.
type Driver struct {
	hold time.Duration // how long a connection stays with the kernel after its FIN; 0 for bpf/ending.h's own
}

// Name is the driver's word in config, logs and metrics.
func (Driver) Name() string { return driverName }

// Check says what Open would refuse about o itself, without opening anything:
// settings, and whether pin is where pinning is possible. It needs no rights.
func (Driver) Check(o hwif.OpenOptions) error {
	s, err := readSettings(o)
	if err != nil || s.pin == "" {
		return err
	}
	return checkPin(s.pin)
}

// Persistent reports whether rules of a device opened with o can outlive it.
func (Driver) Persistent(o hwif.OpenOptions) bool { return o.Settings["pin"] != "" }

// Open attaches the pipeline to the named interfaces of the calling thread's
// network namespace. Its settings are in the package's documentation.
func (d Driver) Open(ctx context.Context, o hwif.OpenOptions) (hwif.Device, error) {
	s, err := readSettings(o)
	if err != nil {
		return nil, err
	}
	s.hold = d.hold
	dev, err := open(ctx, s)
	if err != nil {
		return nil, err
	}
	return dev, nil
}

func open(ctx context.Context, s settings) (*Device, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, openFault("", err, "raise the limit of locked memory (ulimit -l unlimited, LimitMEMLOCK=infinity)")
	}
	k, err := readKernel()
	if err != nil {
		return nil, err
	}
	mode := s.mode
	if mode == ModeAuto {
		mode = ModeNative
	}
	d, err := openIn(ctx, s, k, mode)
	if s.mode != ModeAuto || !fallsBack(err) {
		return d, err
	}
	s.log.Warn("native mode is not possible, using generic", "device", driverName, "err", err)
	d, generic := openIn(ctx, s, k, ModeGeneric)
	if generic != nil {
		return nil, errors.Join(generic, err)
	}
	d.caps.Notes = append(d.caps.Notes, "Generic mode was taken because native is not possible: "+err.Error()+".")
	return d, nil
}

// fallsBack reports whether generic mode may succeed where native failed.
func fallsBack(err error) bool {
	switch hwif.KindOf(err) {
	case hwif.KindUnsupported, hwif.KindOther:
		return err != nil
	}
	return false
}

// openIn opens in one mode, or leaves everything as it was.
func openIn(ctx context.Context, s settings, k kernel, mode Mode) (_ *Device, err error) {
	d := &Device{log: s.log, mode: mode, auto: s.mode == ModeAuto, kernel: k, ports: map[hwif.Ifindex]*port{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.release(d.pins == nil || d.pins.fresh))
		}
	}()
	if err := d.findPorts(s.ports); err != nil {
		return nil, err
	}
	if s.pin != "" {
		if d.pins, err = openPins(s.pin); err != nil {
			return nil, err
		}
	}
	if err := d.checkPorts(); err != nil {
		return nil, err
	}
	if err := d.load(s); err != nil {
		return nil, err
	}
	if err := d.adopt(ctx); err != nil {
		return nil, err
	}
	if err := d.attach(); err != nil {
		return nil, err
	}
	if err := d.probeAll(); err != nil {
		return nil, err
	}
	d.caps = d.makeCaps(s.maxRules)
	return d, nil
}

// load brings programs and maps into the kernel.
func (d *Device) load(s settings) error {
	spec, err := loadBpf()
	if err != nil {
		return fault("open", "", hwif.KindOther, err, "reading the compiled programs")
	}
	spec.Maps[bpfMapRules].MaxEntries = uint32(s.maxRules)
	spec.Maps[bpfMapCounts].MaxEntries = uint32(s.maxRules)
	spec.Maps[bpfMapHolds].MaxEntries = uint32(s.maxRules)
	for name, value := range map[string]uint32{bpfVarNetns: d.kernel.netns, bpfVarVethSkbOff: d.kernel.vethSkbOff} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fault("open", "", hwif.KindOther, err, "setting "+name)
		}
	}
	if s.hold != 0 {
		if err := spec.Variables[bpfVarHoldNs].Set(uint64(s.hold)); err != nil {
			return fault("open", "", hwif.KindOther, err, "setting "+bpfVarHoldNs)
		}
	}
	if d.mode == ModeNative {
		delete(spec.Programs, bpfProgLeaveWord)
	}
	var opts ebpf.CollectionOptions
	if d.pins != nil {
		d.pins.prepare(spec, &opts)
	}
	d.coll, err = ebpf.NewCollectionWithOptions(spec, opts)
	switch {
	case errors.Is(err, ebpf.ErrMapIncompatible):
		return fault("open", "", hwif.KindInvalid, err, fmt.Sprintf(
			"%s holds a table of another size or version: open it with the max_rules it was made with, or remove the directory, which ends its rules", s.pin))
	case err != nil:
		return openFault("", err, "loading the XDP pipeline")
	}
	if d.table, err = newTable(d.coll.Maps[bpfMapRules], d.coll.Maps[bpfMapCounts], d.coll.Maps[bpfMapHolds]); err != nil {
		return openFault("", err, "making the table")
	}
	return nil
}
