// Package plan decides what the loop does next in one Namespace: facts and the time in, steps out. It is pure; the facts
// are gathered, and the steps carried out, by package snapshotter.
//
// A run:
//
//	nothing asked, nothing unfinished        at rest: wait for the next slot, where there is a schedule
//	the schedule is another than last seen   adopt (pins since when), whatever else goes on
//	a slot is due, none going on             begin (pins the run's ID and the slot), then as going on
//	asked, none going on                     begin (pins the run's ID), then as going on
//	as both, but too many groups in flight   wait for fewer, then begin
//	going on, asked for a group that no
//	claim is in, nothing made yet            end, failed; later, only that group fails
//	going on, a group or claim is moving     the steps of each
//	going on, one cannot be completed        give up (pins the reasons), then its clean-up
//	going on, each is done, skipped, failed  end
//
// A group within a run, first match:
//
//	given up                                 let the contents be freed, delete the snapshot, delete the contents; then failed.
//	                                         If that is refused past the deadline, failed, and it is carried on after the run
//	its snapshot's name is held by another   failed
//	content is the run's anchor              detach, below
//	no snapshot, content still there         give up
//	no snapshot                              failed if a rule refuses it or the deadline has passed; wait while too
//	                                         many groups are in flight; else create
//	snapshot being deleted by somebody       give up
//	incomplete                               give up past the deadline or where waiting cannot help, else nudge late members, wait
//	complete, detach, content being deleted  give up: nothing can keep it any more
//	complete, keep                           repair members that lack labels or class, past the deadline once; done
//	complete, detach                         failed, and kept, if the anchor is refused past the deadline; else anchor, then as detach
//
// A claim without the group label within a run, first match:
//
//	given up                                 let the content go, delete the snapshot; then failed, or skipped
//	no snapshot                              skipped if there is nothing to snapshot; failed if it cannot be snapshotted or the
//	                                         deadline has passed; wait while too many groups are in flight; else create
//	its snapshot's name is held by another   failed
//	snapshot being deleted by somebody       give up
//	ready                                    done
//	refused, for its claim is being deleted  give up; it is skipped
//	else                                     give up past the deadline, else wait
//
// A detach, which is carried to its end even after its run has ended, first match:
//
//	no snapshot                              done: members and anchor stay
//	snapshot being deleted                   wait
//	a member is not free                     unbind it, release it
//	a member is not settled                  wait: snapshot-controller has not seen its release
//	the content is not settled               wait: snapshot-controller has not seen that it is kept; not for one being deleted
//	else                                     hold the content where the snapshot is held, delete the snapshot
//
// What is given up for being late is looked at live first: the row holds only if nothing of it has changed since it was observed. Where
// something has, that group or claim is left as it is, the others are given up and cleaned all the same, and the run does not end yet.
//
// Every row reads objects, never memory, so a loop that was killed between any two steps goes on where it was.
package plan
