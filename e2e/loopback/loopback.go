// Package loopback gives out addresses to listen on that nobody else listens on: neither another process of the same test, nor
// one of a test that runs beside it.
package loopback

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
)

// Linux gives the ports from here to before 32768 (net.ipv4.ip_local_port_range) to no connection by itself.
const firstPort, ports = 20_000, 12_768

var given atomic.Uint32

// Address is HOST:PORT on loopback. Each process that asks has a host of its own in 127.0.0.0/8, made of its ID, which Linux
// keeps below 2^22, and gives out each port once. So nothing has to be tried, and nothing that was free is taken before it is used.
func Address() string {
	id := os.Getpid()
	host := fmt.Sprintf("127.%d.%d.%d", id>>16, id>>8&0xff, id&0xff)
	return net.JoinHostPort(host, strconv.Itoa(firstPort+int((given.Add(1)-1)%ports)))
}
