package vm

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// archive writes an initramfs in cpio's "newc" form (the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst). Parents of what is
// added come by themselves.
type archive struct {
	w    *bufio.Writer
	n    int64
	ino  int
	have map[string]bool
	err  error
}

func newArchive(w io.Writer) *archive {
	return &archive{w: bufio.NewWriterSize(w, 1<<20), have: map[string]bool{".": true, "": true}}
}

func (a *archive) write(b []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(b)
		a.n += int64(len(b))
	}
}

func (a *archive) pad() {
	for a.n%4 != 0 {
		a.write([]byte{0})
	}
}

// entry writes one header with its data; major and minor are a device's.
func (a *archive) entry(name string, mode uint32, data []byte, major, minor int) {
	a.ino++
	a.write(fmt.Appendf(nil, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.ino, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name)+1, 0))
	a.write(append([]byte(name), 0))
	a.pad()
	a.write(data)
	a.pad()
}

const (
	modeDir  = 0o040000
	modeFile = 0o100000
	modeLink = 0o120000
	modeChar = 0o020000
)

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

func (a *archive) dir(name string) {
	name = clean(name)
	if a.have[name] {
		return
	}
	a.dir(path.Dir(name))
	a.have[name] = true
	a.entry(name, modeDir|0o755, nil, 0, 0)
}

// begin makes room for name: its parents, and whether it is new.
func (a *archive) begin(name string) (string, bool) {
	name = clean(name)
	if a.have[name] {
		return name, false
	}
	a.dir(path.Dir(name))
	a.have[name] = true
	return name, true
}

func (a *archive) file(name string, data []byte, mode fs.FileMode) {
	if name, fresh := a.begin(name); fresh {
		a.entry(name, modeFile|uint32(mode.Perm()), data, 0, 0)
	}
}

func (a *archive) link(name, target string) {
	if name, fresh := a.begin(name); fresh {
		a.entry(name, modeLink|0o777, []byte(target), 0, 0)
	}
}

func (a *archive) char(name string, major, minor int) {
	if name, fresh := a.begin(name); fresh {
		a.entry(name, modeChar|0o600, nil, major, minor)
	}
}

// copy adds a host's file under a name.
func (a *archive) copy(name, from string) {
	info, err := os.Stat(from)
	var data []byte
	if err == nil {
		data, err = os.ReadFile(from)
	}
	if err != nil {
		a.fail(err)
		return
	}
	a.file(name, data, info.Mode())
}

// tree adds a host's folder under a name.
func (a *archive) tree(name, from string) {
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			a.dir(path.Join(name, rel))
		case d.Type().IsRegular():
			a.copy(path.Join(name, rel), p)
		}
		return nil
	})
	a.fail(err)
}

func (a *archive) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// end writes the trailer. Archives may follow one another in one file.
func (a *archive) end() error {
	a.entry("TRAILER!!!", 0, nil, 0, 0)
	for a.n%512 != 0 {
		a.write([]byte{0})
	}
	if a.err != nil {
		return a.err
	}
	return a.w.Flush()
}
