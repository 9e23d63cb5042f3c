// Package plan decides what a restore does. It reads no clock and no cluster: what is there comes in as values, and claims to
// make or the next step go out.
//
// A restore in place goes by this table; the first row that fits is the step. The journal is written first and deleted last,
// and a step is repeated until what it makes is there, so that the same command goes on after any end of the one before.
//
//	a claim is not replaced yet, and
//	    a run made the restore point, nobody holds it hold it
//	    its volume would go with it                   keep the volume: policy Retain
//	    claims were used since the safety snapshot    renew the journal, for another; stop where this command took it
//	    a workload that mounts the claims has Pods    scale it to 0
//	    a Pod uses a claim                            wait; stop where it is of nothing that is scaled to 0
//	    there is no safety snapshot                   select the claims, take it; stop where a claim is deleted already
//	    it is not complete                            wait
//	    nothing is recorded on a member of it         record the claim
//	    the member to restore from is not ready       stop
//	    the old claim is there                        delete it; stop where it got a volume meanwhile
//	    the old claim is being deleted                wait
//	    there is no claim                             create the restored one
//	    somebody else's claim is there                stop
//	all claims are replaced, and
//	    one is not bound that needs no Pod for it     wait
//	    a workload is scaled to 0                     scale it back
//	    one is not bound                              wait, if a workload uses it; stop if none, nor is it secured
//	    a replaced volume is kept                     give it back the policy that it had; stop where it would be freed and
//	                                                  the safety snapshot with what it holds is gone
//	    this restore holds the restore point          release it
//	    else                                          end
//
// A restore of that safety snapshot takes the unfinished one over: New writes its workloads and volumes into the journal, and the table
// holds for what is left to restore.
package plan
