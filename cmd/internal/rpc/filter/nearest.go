package filter

import "strings"

// nearest gives the word that s was probably meant to be, or "": one that it
// begins, or the closest one within a third of its length in edits, two at
// most.
func nearest(s string, all []string) string {
	if s == "" || len(s) > 64 {
		return ""
	}
	best, bestCost := "", max(1, min(2, len(s)/3))+1
	for _, w := range all {
		cost := distance(strings.ToLower(s), w)
		if len(s) >= 3 && strings.HasPrefix(w, strings.ToLower(s)) {
			cost = min(cost, 1)
		}
		if cost < bestCost {
			best, bestCost = w, cost
		}
	}
	return best
}

// distance counts insertions, deletions, changes and swaps of neighbours
// (optimal string alignment).
func distance(a, b string) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := prev[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, prev[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
