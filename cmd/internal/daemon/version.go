package daemon

import "runtime/debug"

// Version is the module's version as the Go toolchain stamped it: a tag, or the
// commit that was built.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
