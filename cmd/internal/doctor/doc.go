// Package doctor looks at a host and says what it lacks for shuntd, and the
// exact command that mends it.
//
// It changes nothing, installs nothing and keeps nothing. Each finding comes
// from the thing itself where that is possible (a map is created, a buffer is
// asked for), not from a version number. What could not be seen is said to be
// so, and is never "ok".
//
// The checks stand in a list in doctor.go, one file per subject. They run one
// after the other in the caller's goroutine, because some of them visit other
// network namespaces: the thread that they were called on comes back to its
// own, or ends.
//
// For cards behind tc flower one look is taken at everything (survey.go: devlink,
// links, qdiscs, filters), and the checks judge that; so they agree with each
// other, and tests give them a card of their own. What a card takes is not for the
// doctor: "devices probe" asks it.
//
// A daemon that answers is asked which devices it has; the caller gives the means
// (Options.Devices), since this package knows no connection to it.
//
// shuntd runs a few of the same checks itself before it starts; shuntctl doctor
// prints them all.
package doctor
