package pods_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/snapshot-group/snapshot-group/e2e/cluster/supervise"
	"github.com/snapshot-group/snapshot-group/e2e/suite"
)

// resolvConf is what kubelet writes for a Pod of namespace monitoring, but for the address of the server.
const resolvConf = "nameserver 127.0.0.1\nsearch monitoring.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"

// supervisor is the process ID of the cluster's first process, through which its namespaces are entered.
func (s site) supervisor(t *testing.T) string {
	t.Helper()
	pid, err := os.ReadFile(filepath.Join(s.cluster.Dir(), supervise.PIDFile))
	suite.Must(t, err)
	return string(pid)
}

// inside does something in the network namespace of a process. A socket that is made there stays there.
func inside(pid string, do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine, and nothing else runs in that namespace
		done <- func() error {
			fd, err := unix.Open("/proc/"+pid+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return err
			}
			return do()
		}()
	}()
	return <-done
}

// serveDNS answers in the cluster's network as its DNS would, which the cluster does not have: of a headless Service it tells the
// addresses of the EndpointSlices.
func (s site) serveDNS(t *testing.T) {
	t.Helper()
	var socket net.PacketConn
	suite.Must(t, inside(s.supervisor(t), func() (err error) {
		socket, err = (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:53")
		return err
	}))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan struct{})
	go func() {
		defer close(served)
		packet := make([]byte, 1500)
		for {
			n, from, err := socket.ReadFrom(packet)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			reply, err := answer(packet[:n], func(service, namespace string) ([]netip.Addr, error) { return s.endpoints(ctx, service, namespace) })
			if err == nil {
				_, _ = socket.WriteTo(reply, from) // who gets none asks again
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		suite.Must(t, socket.Close())
		<-served
	})
}

// endpoints are the addresses of a Service's EndpointSlices.
func (s site) endpoints(ctx context.Context, service, namespace string) ([]netip.Addr, error) {
	out, err := s.run(ctx, "kubectl --namespace "+namespace+" get endpointslices --selector=kubernetes.io/service-name="+service+
		" --output=jsonpath='{.items[*].endpoints[*].addresses[*]}'")
	if err != nil {
		return nil, err
	}
	var all []netip.Addr
	for address := range strings.FieldsSeq(out) {
		a, err := netip.ParseAddr(address)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// answer answers a query for the IPv4 addresses of SERVICE.NAMESPACE.svc.cluster.local, and of all else says that there is none.
func answer(query []byte, endpoints func(service, namespace string) ([]netip.Addr, error)) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.RCode, m.Additionals = true, dnsmessage.RCodeNameError, nil
	for _, q := range m.Questions {
		name, ours := strings.CutSuffix(q.Name.String(), ".svc.cluster.local.")
		service, namespace, ok := strings.Cut(name, ".")
		if !ours || !ok || strings.Contains(namespace, ".") || q.Type != dnsmessage.TypeA {
			continue
		}
		addresses, err := endpoints(service, namespace)
		if err != nil {
			return nil, err
		}
		for _, a := range addresses {
			m.RCode = dnsmessage.RCodeSuccess
			header := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 1}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		}
	}
	return m.Pack()
}

func TestDNSAnswersForServicesAlone(t *testing.T) {
	for name, want := range map[string][]string{
		"web.shop.svc.cluster.local.":     {"10.0.0.1", "10.0.0.2"},
		"web.shop.svc.":                   nil,
		"a.web.shop.svc.cluster.local.":   nil,
		"other.shop.svc.cluster.local.":   nil,
		"web.shop.svc.monitoring.local.":  nil,
		"kubernetes.svc.cluster.local.":   nil,
		"web.shop.pod.cluster.local.":     nil,
		"web.shop.svc.svc.cluster.local.": nil,
	} {
		query := dnsmessage.Message{Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET,
		}}}
		packed, err := query.Pack()
		suite.Must(t, err)
		reply, err := answer(packed, func(service, namespace string) ([]netip.Addr, error) {
			if service+"/"+namespace != "web/shop" {
				return nil, nil
			}
			return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}, nil
		})
		suite.Must(t, err)
		var m dnsmessage.Message
		suite.Must(t, m.Unpack(reply))
		var got []string
		for _, a := range m.Answers {
			got = append(got, netip.AddrFrom4(a.Body.(*dnsmessage.AResource).A).String())
		}
		if diff := cmp.Diff(want, got); diff != "" || (m.RCode == dnsmessage.RCodeSuccess) != (want != nil) {
			t.Errorf("%s: %s, addresses (-want +got):\n%s", name, m.RCode, diff)
		}
	}
}
