package points

import "testing"

func TestARestorePointThatIsGoingIsNotHeld(t *testing.T) {
	stays, goes := listed{Name: "a", State: incomplete}, listed{Name: "b", State: deleting}
	if err := holdable([]listed{stays}); err != nil {
		t.Errorf("error %v of one that stays", err)
	}
	const want = `restore point "b" is being deleted, which a hold does not stop; nothing was changed`
	if err := holdable([]listed{stays, goes}); err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}
