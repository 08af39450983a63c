/* SPDX-License-Identifier: GPL-2.0 */
/* Internet checksums (RFC 1071, RFC 1624), over words as they lie in memory. */
#pragma once

#include "kernel.h"

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* words adds n 16-bit words; n is a constant. */
static __always_inline __u32 words(const void *p, int n)
{
	const __u16 *w = p;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < n; i++)
		sum += w[i];
	return sum;
}

/* replaced is check after a change of the data by delta (RFC 1624, eqn. 3). */
static __always_inline __u16 replaced(__u16 check, __u16 delta)
{
	return ~fold((__u16)~check + (__u32)delta);
}
