package tc

// Learnt reports whether the filter's make has a form.
func Learnt(f *Filter, s *Shape) bool {
	_, ok := learn(f, s)
	return ok
}
