// Package guest starts, inside the virtual machine of package vm, services that
// tests and measurements share: Open vSwitch as Debian packages it.
//
// It is used by what runs in the guest and finds its programs in the PATH there. It
// does not know the host's side.
package guest
