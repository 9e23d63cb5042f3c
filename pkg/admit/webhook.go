// Package admit answers the API server's admission reviews.
//
// Each webhook is one pipeline: decode the review, gather the facts from the cache, decide in pure code (package policy, or
// member.Patch), respond. The Responder is the only exit: it alone logs and counts. A denial is a value; an error means
// that no decision could be made and is answered as such, never as a denial with a made-up reason.
package admit
