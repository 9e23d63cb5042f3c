package csidriver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// maxReply bounds what is read of one reply, in bytes.
const maxReply = 16 << 20

// Control is a client of one driver's control API. It is safe for concurrent use and holds no connection between calls.
type Control struct {
	client http.Client
	socket string
}

// Dial returns the control of the driver whose control socket is at this path. It connects to nothing yet, so the driver
// may start later and may be restarted at any time.
func Dial(controlSocket string) *Control {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", controlSocket)
	}
	return &Control{
		socket: controlSocket,
		client: http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}},
	}
}

// Inventory returns what the driver's storage holds. An answer also means that the driver serves its CSI endpoint.
func (c *Control) Inventory(ctx context.Context) (Inventory, error) {
	var inventory Inventory
	if err := c.read(ctx, "/inventory", &inventory); err != nil {
		return Inventory{}, fmt.Errorf("read inventory: %w", err)
	}
	return inventory, nil
}

// Faults returns the faults in force. A failure that was set for a number of calls shows how many are left, and is absent
// once there are none.
func (c *Control) Faults(ctx context.Context) (Faults, error) {
	var faults Faults
	if err := c.read(ctx, "/faults", &faults); err != nil {
		return Faults{}, fmt.Errorf("read faults: %w", err)
	}
	return faults, nil
}

// SetFaults replaces the faults in force; the zero value ends them all. It returns once they hold for calls to come, and
// calls that hang or wait go by the new faults at once.
func (c *Control) SetFaults(ctx context.Context, faults Faults) error {
	body, err := json.Marshal(faults)
	if err == nil {
		_, err = c.ask(ctx, http.MethodPut, "/faults", body)
	}
	if err != nil {
		return fmt.Errorf("set faults: %w", err)
	}
	return nil
}

// ask sends one request. The host is never resolved: the connection is the socket's.
func (c *Control) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://csi-driver"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.socket, err)
	}
	reply, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("read the reply of %s: %w", c.socket, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(reply))
	}
	return reply, nil
}

// read asks for what is at the path and understands the reply.
func (c *Control) read(ctx context.Context, path string, into any) error {
	reply, err := c.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(reply, into); err != nil {
		return fmt.Errorf("understand the reply of %s: %w", c.socket, err)
	}
	return nil
}
