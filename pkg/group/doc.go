// Package group holds the words of the product: the labels and annotations that users and the product write, the
// Settings parsed from a Namespace, the driver and the classes of a claim, and the names of what a run creates.
//
// Everything here is pure: no clients, no contexts, no clock. Every other package imports it; it imports none of them.
package group
