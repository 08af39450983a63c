package doctor

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/shunt-offload/shunt/switchdev"
)

// release is what uname -r says.
func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// kernelConfig reads what the running kernel was built with, and says where it
// stands.
func (h *host) kernelConfig() (options map[string]string, source string, err error) {
	var errs []error
	for _, path := range []string{h.proc + "/config.gz", h.boot + "/config-" + h.release, h.lib + "/modules/" + h.release + "/config"} {
		options, err := readConfig(path)
		if err == nil {
			return options, path, nil
		}
		errs = append(errs, err)
	}
	return nil, "", errors.Join(errs...)
}

// readConfig reads "CONFIG_X=v" lines, without the prefix. An option that is not
// there is off.
func readConfig(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	out := map[string]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			if name, ok = strings.CutPrefix(name, "CONFIG_"); ok {
				out[name] = value
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New(path + " holds no option")
	}
	return out, nil
}

// cardOptions are what a card's kernel driver has to be built with to take flower
// rules. Without them it answers every rule with a bare EOPNOTSUPP.
var cardOptions = map[string][]string{
	"mlx5_core": {"MLX5_ESWITCH", "MLX5_CLS_ACT"},
	"ice":       {"ICE_SWITCHDEV"},
	"nfp":       {"NFP_APP_FLOWER"},
}

// kernelDriver is the kernel's driver for the cards of one of ours.
var kernelDriver = map[string]string{"mlx5": "mlx5_core", "ice": "ice", "nfp": "nfp"}

// kernelOptions asks whether this kernel was built for the cards at hand; without
// any, for those of the driver that was named.
func kernelOptions(ctx context.Context, h *host) []Finding {
	s := h.look(ctx)
	var makes []string
	for _, d := range s.named() {
		if _, known := cardOptions[d.Driver]; known && !slices.Contains(makes, d.Driver) {
			makes = append(makes, d.Driver)
		}
	}
	want := kernelDriver[h.opts.Driver]
	if want != "" && !slices.ContainsFunc(s.named(), func(d *switchdev.Device) bool { return d.Driver == want || d.Board == "simnic-"+h.opts.Driver }) {
		makes = append(makes, want)
	}
	options, source, err := h.kernelConfig()
	var out []Finding
	for _, k := range makes {
		if err != nil {
			out = append(out, withoutConfig(s, k))
			continue
		}
		out = append(out, configured(k, options, source, h.release))
	}
	return out
}

func configured(driver string, options map[string]string, source, release string) Finding {
	f := Finding{Name: "kernel_config"}
	var lacks []string
	for _, o := range cardOptions[driver] {
		if options[o] != "y" && options[o] != "m" {
			lacks = append(lacks, "CONFIG_"+o)
		}
	}
	if len(lacks) == 0 {
		f.Text = "this kernel's " + driver + " takes flower rules (" + source + ")"
		return f
	}
	f.Level = Fail
	f.Text = "this kernel's " + driver + " cannot take flower rules: " + strings.Join(lacks, ", ") + " is off in " + source
	f.Mend = "boot a kernel with " + strings.Join(lacks, "=y, ") + "=y"
	if driver == "mlx5_core" && options["MLX5_CLS_ACT"] == "" {
		if options["NET_TC_SKB_EXT"] == "" {
			f.Text += "; it needs CONFIG_NET_TC_SKB_EXT, which is off too, on kernels of this age"
		}
		f.Mend += ": Debian 12's own 6.1 (linux-image-amd64) is one, Debian's 6.12 (this one is " + release + ") is not"
	}
	return f
}

// withoutConfig goes by the representors: their hw-tc-offload is fixed to off
// where the driver was built without.
func withoutConfig(s *survey, driver string) Finding {
	f := Finding{Name: "kernel_config"}
	for _, d := range s.named() {
		for _, p := range representors(d) {
			if d.Driver != driver {
				continue
			}
			if p.TCOffload == switchdev.TCOffloadOffFixed {
				f.Level, f.Text = Fail, p.Name+" has hw-tc-offload off [fixed]: this kernel's "+driver+" was built without flower (CONFIG_"+strings.Join(cardOptions[driver], ", CONFIG_")+")"
				f.Mend = "boot a kernel with CONFIG_" + strings.Join(cardOptions[driver], "=y, CONFIG_") + "=y"
				return f
			}
			f.Text = "the kernel's configuration is not to be read, but " + p.Name + " can have hw-tc-offload"
			return f
		}
	}
	f.Level = Warn
	f.Text = "the kernel's configuration is not to be read, and no representor is there to tell whether " + driver + " was built with flower"
	f.Mend = "sudo shuntctl devices probe   # asks the card itself"
	return f
}
