package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/snapshot-group/snapshot-group/e2e/csidriver"
	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/faults"
	"github.com/snapshot-group/snapshot-group/e2e/csidriver/internal/storage"
)

// maxFaults bounds what is read of faults, in bytes.
const maxFaults = 1 << 20

// control serves the API that package csidriver describes.
type control struct {
	store     *storage.Store
	gate      *faults.Gate
	readiness *faults.Readiness
}

func (c *control) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /inventory", c.inventory)
	mux.HandleFunc("GET /faults", c.faults)
	mux.HandleFunc("PUT /faults", c.setFaults)
	return mux
}

func (c *control) inventory(w http.ResponseWriter, _ *http.Request) {
	inventory, err := c.takeInventory()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	reply(w, inventory)
}

func (c *control) faults(w http.ResponseWriter, _ *http.Request) {
	switchedOn, _ := c.gate.Current()
	reply(w, switchedOn)
}

func (c *control) setFaults(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFaults))
	var wanted csidriver.Faults
	if err == nil {
		err = json.Unmarshal(body, &wanted)
	}
	if err != nil {
		http.Error(w, fmt.Sprintf("understand faults: %v", err), http.StatusBadRequest)
		return
	}
	c.gate.Set(wanted)
	reply(w, wanted)
}

func reply(w http.ResponseWriter, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, fmt.Sprintf("write reply: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(data, '\n')) //nolint:errcheck // the caller has gone, and there is nobody else to tell
}

func (c *control) takeInventory() (csidriver.Inventory, error) {
	inventory := csidriver.Inventory{
		Volumes: []csidriver.Volume{}, Snapshots: []csidriver.Snapshot{}, Groups: []csidriver.Group{}, Calls: c.gate.Counts(),
	}
	contents := c.store.Contents()
	for _, v := range contents.Volumes {
		mounted, err := mountsOf(v.ID)
		if err != nil {
			return csidriver.Inventory{}, err
		}
		volume := csidriver.Volume{
			ID: v.ID, Name: v.Name, Capacity: v.Capacity, SourceSnapshot: v.Source.Snapshot, SourceVolume: v.Source.Volume,
		}
		for _, mount := range mounted {
			volume.Targets = append(volume.Targets, mount.Target)
		}
		inventory.Volumes = append(inventory.Volumes, volume)
	}
	ready := map[string]bool{}
	for _, s := range contents.Snapshots {
		ready[s.ID] = c.readiness.Peek(s.ID, s.Created)
		inventory.Snapshots = append(inventory.Snapshots, csidriver.Snapshot{
			ID: s.ID, Name: s.Name, SourceVolume: s.Volume, GroupID: s.Group, Size: s.Size, Created: s.Created, Ready: ready[s.ID],
		})
	}
	for _, g := range contents.Groups {
		group := csidriver.Group{ID: g.ID, Name: g.Name, Snapshots: g.Members, Created: g.Created, Ready: true}
		for _, member := range g.Members {
			group.Ready = group.Ready && ready[member]
		}
		inventory.Groups = append(inventory.Groups, group)
	}
	return inventory, nil
}
