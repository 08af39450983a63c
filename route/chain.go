package route

// chains holds doubly linked lists in one array: a node is its place in the
// array, a head is a node plus one, 0 for an empty list. Nodes belong to
// whoever numbers them. There is no pointer inside.
type chains struct {
	nodes []link
}

type link struct{ next, prev uint32 } // node plus one; prev 0 at the head

func (c *chains) grow(nodes int) {
	for len(c.nodes) < nodes {
		c.nodes = append(c.nodes, link{})
	}
}

// push puts node n, which is on no list, at the front.
func (c *chains) push(head, n uint32) uint32 {
	c.nodes[n] = link{next: head}
	if head != 0 {
		c.nodes[head-1].prev = n + 1
	}
	return n + 1
}

// pushSecond puts n behind the head, so that a head once given stays.
func (c *chains) pushSecond(head, n uint32) {
	next := c.nodes[head-1].next
	c.nodes[n] = link{next: next, prev: head}
	c.nodes[head-1].next = n + 1
	if next != 0 {
		c.nodes[next-1].prev = n + 1
	}
}

// remove takes n off its list and gives the new head.
func (c *chains) remove(head, n uint32) uint32 {
	l := c.nodes[n]
	if l.next != 0 {
		c.nodes[l.next-1].prev = l.prev
	}
	if l.prev != 0 {
		c.nodes[l.prev-1].next = l.next
	} else {
		head = l.next
	}
	c.nodes[n] = link{}
	return head
}

// each calls f for every node from head on. f must not change the list.
func (c *chains) each(head uint32, f func(n uint32)) {
	for ; head != 0; head = c.nodes[head-1].next {
		f(head - 1)
	}
}
