package rpc

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
)

// A page token is the engine's cursor, bound to this run of the daemon (places
// mean nothing in the next one) and to the filter (another one would leave holes).

func (s *Server) sealToken(after uint64, filter string) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "1 %d %x %s", after, sum(filter), s.opts.Instance))
}

func (s *Server) openToken(token, filter string) (after uint64, err error) {
	if token == "" {
		return 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	var hash uint64
	var instance string
	if err == nil {
		_, err = fmt.Sscanf(string(raw), "1 %d %x %s", &after, &hash, &instance)
	}
	switch {
	case err != nil:
		return 0, invalid("page_token", "page_token was not made by this service; leave it empty to begin anew")
	case instance != s.opts.Instance:
		return 0, invalid("page_token", "page_token is from another run of the daemon; leave it empty to begin anew")
	case hash != sum(filter):
		return 0, invalid("page_token", "page_token belongs to another filter; use the same one, or leave the token empty")
	}
	return after, nil
}

func sum(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}
