package config

import (
	_ "embed"
	"fmt"
	"slices"
)

//go:embed default.yaml
var defaults []byte

// DefaultFile is default.yaml: every key, its default and the reason for it.
func DefaultFile() []byte { return slices.Clone(defaults) }

// Default is what holds when no file says otherwise. It names no ports, so it
// does not pass Check by itself.
func Default() *Config {
	c := new(Config)
	if err := c.merge("default.yaml", defaults); err != nil {
		panic(fmt.Sprintf("the built-in default.yaml: %v", err)) // its test would have failed
	}
	return c
}
