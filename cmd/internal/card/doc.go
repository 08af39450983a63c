// Package card says which of shunt's drivers a card wants: what "nic.driver: auto"
// means, and what the doctor and the probe hold a choice against.
//
// It decides by what the kernel says of the ports that are named (package
// switchdev) and by what each driver says that it accepts (package drivers). It
// changes nothing and opens nothing. Values here are plain; a Port points into the
// inventory that it came from, which never changes.
package card
