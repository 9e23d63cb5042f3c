// Package trust is what a caBundle holds, and whether whoever goes by it believes a certificate. It is pure.
package trust
