package load

import (
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed agh/hist_size.csv.gz
var aghSizes string

// bin is a group of flows of about the same size.
type bin struct {
	flows          float64
	bytes, packets float64 // of one of them
}

// sizes is a distribution of flow sizes. The bins are sorted by size.
type sizes struct {
	bins []bin
	upTo []float64 // by bin, share of all flows in it and before
}

// campusSizes reads the histogram once.
var campusSizes = sync.OnceValues(func() (*sizes, error) {
	z, err := gzip.NewReader(strings.NewReader(aghSizes))
	if err != nil {
		return nil, fmt.Errorf("unpack the campus histogram: %w", err)
	}
	return readSizes(z)
})

// readSizes reads bin_lo,bin_hi,flows_sum,packets_sum,octets_sum.
func readSizes(r io.Reader) (*sizes, error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read sizes: %w", err)
	}
	var s sizes
	for i, row := range rows {
		if i == 0 {
			continue
		}
		var v [3]float64
		for k := range v {
			if v[k], err = strconv.ParseFloat(row[2+k], 64); err != nil {
				return nil, fmt.Errorf("read sizes, row %d: %w", i+1, err)
			}
		}
		if v[0] <= 0 {
			return nil, fmt.Errorf("read sizes, row %d: %v flows", i+1, v[0])
		}
		s.bins = append(s.bins, bin{v[0], v[2] / v[0], v[1] / v[0]})
	}
	slices.SortFunc(s.bins, func(a, b bin) int { return int(math.Copysign(1, a.bytes-b.bytes)) })
	return s.sum(), nil
}

func (s *sizes) sum() *sizes {
	total, sum := 0.0, 0.0
	for _, b := range s.bins {
		total += b.flows
	}
	s.upTo = s.upTo[:0]
	for _, b := range s.bins {
		sum += b.flows / total
		s.upTo = append(s.upTo, sum)
	}
	return s
}

// slices cuts the distribution into n parts of as many flows each, the smallest first,
// and gives the mean flow of each: n flows so large are as large in all as n of the
// distribution are on average, however few of them have most of the bytes.
func (s *sizes) slices(n int) []bin {
	out := make([]bin, n)
	i, was := 0, 0.0
	for k := range out {
		end := float64(k+1) / float64(n)
		for at := float64(k) / float64(n); ; i++ {
			to := min(s.upTo[i], end)
			if part := (to - max(at, was)) * float64(n); part > 0 {
				out[k].bytes += part * s.bins[i].bytes
				out[k].packets += part * s.bins[i].packets
				out[k].flows += part
			}
			if s.upTo[i] >= end || i == len(s.bins)-1 {
				break
			}
			was = s.upTo[i]
		}
	}
	return out
}

// mean is the expectation of a function of a flow's bytes.
func (s *sizes) mean(f func(bytes float64) float64) (sum float64) {
	was := 0.0
	for i, b := range s.bins {
		sum += (s.upTo[i] - was) * f(b.bytes)
		was = s.upTo[i]
	}
	return sum
}

// tilted weighs each flow by a function of its bytes.
func (s *sizes) tilted(f func(bytes float64) float64) *sizes {
	var out sizes
	for _, b := range s.bins {
		b.flows *= f(b.bytes)
		out.bins = append(out.bins, b)
	}
	return out.sum()
}
