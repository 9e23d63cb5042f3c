package supervise

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	certutil "k8s.io/client-go/util/cert"
)

// pki is what the API server and its clients trust each other by.
type pki struct {
	certFile, keyFile string // the API server's; certFile holds the CA as well
	serviceAccountKey string
	tokens            string // --token-auth-file
	auditPolicy       string
	adminToken        string
	certificates      []byte
}

// The first address of the Service network is the API server's, by rule of kube-apiserver.
const (
	serviceNetwork   = "10.96.0.0/16"
	apiServerService = "10.96.0.1"
)

func (s *supervisor) writePKI(apiserver net.IP) (pki, error) {
	dir := s.cfg.Path("pki")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return pki{}, fmt.Errorf("create %q: %w", dir, err)
	}
	p := pki{
		certFile: s.cfg.Path("pki", "apiserver.crt"), keyFile: s.cfg.Path("pki", "apiserver.key"),
		serviceAccountKey: s.cfg.Path("pki", "service-account.key"),
		tokens:            s.cfg.Path("pki", "tokens.csv"),
		auditPolicy:       s.cfg.Path("pki", "audit-policy.yaml"),
	}
	ips := []net.IP{net.ParseIP("127.0.0.1"), apiserver, net.ParseIP(apiServerService), net.ParseIP(NodeAddress)}
	names := []string{"localhost", "kubernetes.default.svc", "kubernetes.default", "kubernetes"}
	cert, key, err := certutil.GenerateSelfSignedCertKey("kube-apiserver", ips, names)
	if err != nil {
		return pki{}, fmt.Errorf("make the API server's certificate: %w", err)
	}
	signer, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return pki{}, fmt.Errorf("make the service account key: %w", err)
	}
	token := make([]byte, 16)
	if _, err := rand.Read(token); err != nil {
		return pki{}, fmt.Errorf("make the administrator's token: %w", err)
	}
	p.adminToken, p.certificates = hex.EncodeToString(token), cert
	for path, data := range map[string][]byte{
		p.certFile: cert, p.keyFile: key,
		p.serviceAccountKey: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(signer)}),
		p.tokens:            []byte(p.adminToken + ",admin,admin,system:masters\n"),
		p.auditPolicy:       []byte(auditPolicy),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return pki{}, fmt.Errorf("write %q: %w", path, err)
		}
	}
	return p, nil
}

// auditPolicy records who wrote what, so that tests can count the writes of a run. Reads are left out.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  verbs: [get, list, watch]
- level: None
  resources: [{group: coordination.k8s.io}]
- level: Metadata
`

// writeKubeconfig writes a kubeconfig of the administrator for the API server at address.
func (p pki) writeKubeconfig(path, address string) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["snapshot-group"] = &clientcmdapi.Cluster{
		Server: "https://" + address, CertificateAuthorityData: p.certificates,
	}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: p.adminToken}
	config.Contexts["snapshot-group"] = &clientcmdapi.Context{Cluster: "snapshot-group", AuthInfo: "admin"}
	config.CurrentContext = "snapshot-group"
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write kubeconfig %q: %w", path, err)
	}
	return nil
}

func (p pki) restConfig(address string) *rest.Config {
	return &rest.Config{
		Host: "https://" + address, BearerToken: p.adminToken, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: p.certificates},
	}
}
