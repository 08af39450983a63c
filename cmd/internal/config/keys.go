package config

import (
	"reflect"
	"strings"
)

// member finds the field of a section by its key.
func member(typ reflect.Type, name string) (reflect.StructField, bool) {
	for f := range typ.Fields() {
		if f.Tag.Get("yaml") == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// Keys lists every key with a value, sections left out, in the order of the file.
func Keys() []string { return keysOf(reflect.TypeFor[Config](), "", false) }

func keysOf(typ reflect.Type, key string, sections bool) []string {
	var out []string
	for f := range typ.Fields() {
		full := join(key, f.Tag.Get("yaml"))
		if f.Type.Kind() != reflect.Struct {
			out = append(out, full)
			continue
		}
		if sections {
			out = append(out, full)
		}
		out = append(out, keysOf(f.Type, full, sections)...)
	}
	return out
}

// nearest gives "; nearest valid key: x", or the valid keys of the section when
// nothing is near.
func nearest(key string) string {
	all := keysOf(reflect.TypeFor[Config](), "", true)
	section, last := cut(key)
	best, least := "", 1+min(max(2, len(last)/3), len(last)/2)
	for _, k := range all {
		s, l := cut(k)
		d := distance(last, l)
		if s != section { // right name, wrong place
			d++
		}
		if d < least {
			best, least = k, d
		}
	}
	if best != "" {
		return "; nearest valid key: " + best
	}
	var siblings []string
	for _, k := range all {
		if s, l := cut(k); s == section {
			siblings = append(siblings, l)
		}
	}
	return "; valid here: " + strings.Join(siblings, ", ")
}

// cut splits a key into section and name.
func cut(key string) (section, name string) {
	i := strings.LastIndexByte(key, '.')
	if i < 0 {
		return "", key
	}
	return key[:i], key[i+1:]
}

// distance is the Levenshtein distance of two words.
func distance(a, b string) int {
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		cur := make([]int, len(b)+1)
		cur[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			cur[j+1] = min(prev[j]+cost, prev[j+1]+1, cur[j]+1)
		}
		prev = cur
	}
	return prev[len(b)]
}

// Diff names the keys in which two configurations differ, in the order of Keys.
func Diff(a, b *Config) []string {
	var out []string
	for _, key := range Keys() {
		if !reflect.DeepEqual(a.get(key), b.get(key)) {
			out = append(out, key)
		}
	}
	return out
}

func (c *Config) get(key string) any {
	v := reflect.ValueOf(c).Elem()
	for name := range strings.SplitSeq(key, ".") {
		f, ok := member(v.Type(), name)
		if !ok {
			return nil
		}
		v = v.FieldByIndex(f.Index)
	}
	return v.Interface()
}
