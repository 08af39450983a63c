// Package load makes traffic on a virtual clock: flows that begin, send so many bytes
// and packets in each second, and end. The same seed makes the same load.
//
//	campus  sizes of a real campus border (agh); arrivals like those of its busy hour
//	smooth  the same, each flow at one rate
//
// Sizes are data. How they are spread over time is a model: bursts of arrivals after the
// second counts of a busy hour, a rate that grows with the size to the power of 0.35,
// log-normal with sigma 1.2, and pauses in long flows. Results carry that word.
package load
