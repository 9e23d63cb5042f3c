package command

import (
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	"github.com/go-logr/zapr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// SetUpLogging makes JSON on standard error the log of the command and of the libraries that it uses: level is one of
// zap's. Nothing is sampled: a step that is not logged cannot be traced.
func SetUpLogging(level string) (logr.Logger, error) {
	parsed, err := zapcore.ParseLevel(level)
	if err != nil {
		return logr.Logger{}, err
	}
	config := zap.NewProductionConfig()
	config.Level = zap.NewAtomicLevelAt(parsed)
	config.Sampling = nil
	config.DisableCaller, config.DisableStacktrace = true, true
	config.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	built, err := config.Build()
	if err != nil {
		return logr.Logger{}, fmt.Errorf("set up logging: %w", err)
	}
	zap.RedirectStdLog(built) // net/http logs failed TLS handshakes there
	log := zapr.NewLogger(built)
	ctrl.SetLogger(log)
	klog.SetLogger(log.WithName("client"))
	return log, nil
}

// RESTConfig finds the API server; agent is what the audit log shows. It sets no limit on the rate of requests,
// and asks for no compression: within a cluster that saves no time, and an API server would compress every event of a watch by itself.
func RESTConfig(kubeconfig, agent string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.QPS, config.UserAgent, config.DisableCompression = -1, agent, true
	return config, nil
}

// SetUpError is err as a failure to set up, with the remedy where the cluster lacks the snapshot APIs.
func SetUpError(err error) error {
	if errors.Is(err, ErrNoGroupSnapshots) || apimeta.IsNoMatchError(err) {
		return fmt.Errorf("set up: install external-snapshotter, 8.6 or later at best, with its CustomResourceDefinitions of group snapshots first: %w", err)
	}
	return fmt.Errorf("set up: %w", err)
}
