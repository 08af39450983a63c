package config

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

var durationType = reflect.TypeFor[time.Duration]()

// shape holds a document against Config's type before anything is decoded, so
// that every error names key, line and column, and all of them come at once.
func (f *File) shape(n ast.Node) []error {
	return f.section(n, "", reflect.TypeFor[Config]())
}

func (f *File) section(n ast.Node, key string, typ reflect.Type) []error {
	pairs, err := f.pairs(n, key)
	if err != nil {
		return []error{err}
	}
	var errs []error
	for _, p := range pairs {
		name, full := p.Key.GetToken().Value, join(key, p.Key.GetToken().Value)
		field, ok := member(typ, name)
		if !ok {
			errs = append(errs, f.fault(place(p.Key), full, "unknown key%s", nearest(full)))
			continue
		}
		f.at[full] = place(p.Value)
		errs = append(errs, f.value(p, full, field.Type)...)
	}
	return errs
}

// value holds one key's value against the type that it will be decoded into.
func (f *File) value(p *ast.MappingValueNode, key string, typ reflect.Type) []error {
	n := p.Value
	wrong := func(want string) []error {
		return []error{f.fault(place(n), key, "%s; want %s", found(n), want)}
	}
	if _, null := n.(*ast.NullNode); null {
		return []error{f.fault(place(p.Key), key, "has no value; give it one or take the key out")}
	}
	switch {
	case typ == durationType:
		if _, err := time.ParseDuration(scalar(n)); err != nil || n.Type() != ast.StringType {
			return wrong(`a time with its unit, like "500ms", "30s" or "5m"`)
		}
	case typ.Kind() == reflect.Struct:
		return f.section(n, key, typ)
	case typ.Kind() == reflect.Map:
		return f.settings(n, key)
	case typ.Kind() == reflect.Slice:
		return f.list(n, key)
	case typ.Kind() == reflect.Bool:
		if n.Type() != ast.BoolType {
			return wrong("true or false")
		}
	case typ.Kind() == reflect.String:
		if !isScalar(n) {
			return wrong("a word")
		}
	default: // whole numbers
		i, ok := n.(*ast.IntegerNode)
		if !ok {
			return wrong("a whole number")
		}
		if v, neg := i.Value.(int64); neg && v < 0 {
			return wrong("a number from 0 up")
		}
		v, big := i.Value.(uint64)
		switch {
		case typ.Kind() == reflect.Uint32 && big && v > math.MaxUint32:
			return wrong("a number from 0 to 0xffffffff")
		case big && v > 1<<62:
			return wrong("a smaller number")
		}
	}
	return nil
}

func (f *File) list(n ast.Node, key string) []error {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		return []error{f.fault(place(n), key, "%s; want a list, like [eth0, eth1]", found(n))}
	}
	var errs []error
	for _, v := range seq.Values {
		if !isScalar(v) {
			errs = append(errs, f.fault(place(v), key, "%s; want a word", found(v)))
		}
	}
	return errs
}

func (f *File) settings(n ast.Node, key string) []error {
	pairs, err := f.pairs(n, key)
	if err != nil {
		return []error{err}
	}
	var errs []error
	for _, p := range pairs {
		full := join(key, p.Key.GetToken().Value)
		f.at[full] = place(p.Value)
		if !isScalar(p.Value) {
			errs = append(errs, f.fault(place(p.Value), full, "%s; want a word", found(p.Value)))
		}
	}
	return errs
}

// pairs gives the keys of a section.
func (f *File) pairs(n ast.Node, key string) ([]*ast.MappingValueNode, error) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, nil
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, nil
	}
	return nil, f.fault(place(n), key, "%s; want keys and values", found(n))
}

// found says what stands where something else should.
func found(n ast.Node) string {
	switch n.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "is a section"
	case ast.SequenceType:
		return "is a list"
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType, ast.TagType:
		return "uses a YAML anchor, alias or tag, which shuntd's file does not know"
	}
	return fmt.Sprintf("is %q", scalar(n))
}

func isScalar(n ast.Node) bool {
	switch n.Type() {
	case ast.StringType, ast.IntegerType, ast.FloatType, ast.BoolType:
		return true
	}
	return false
}

func scalar(n ast.Node) string { return n.GetToken().Value }

func place(n ast.Node) position {
	if m, ok := n.(*ast.MappingValueNode); ok {
		n = m.Key // a section begins at its first key, not at the colon
	}
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		n = m.Values[0].Key
	}
	p := n.GetToken().Position
	return position{p.Line, p.Column}
}

func join(key, name string) string { return strings.TrimPrefix(key+"."+name, ".") }
