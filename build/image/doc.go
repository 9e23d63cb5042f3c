// Package image assembles container images from files, without a Docker daemon, a registry or a base image.
//
// It knows nothing of snapshot-group but for Product: the test clusters make their other images with it. An image is one
// layer on nothing, and a function of its Spec: no clock, no user, no order of a map goes into it, so that equal files
// give an equal digest on every machine.
package image
