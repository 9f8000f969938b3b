package sessionstore

// Spent gives the indexes of the fences that are spent by what Epochs said of their sessions: another owner has the session, it was swept, or it is gone.
// Not the greater epoch counts but another one: a failover of the store can take a session back to an earlier owner, and no write with the
// fence is applied then either.
func Spent(fences []Fence, epochs []uint64) (spent []int) {
	for i, f := range fences {
		if epochs[i] != f.Epoch {
			spent = append(spent, i)
		}
	}
	return spent
}
