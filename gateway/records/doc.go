// Package records translates between what mqtt/session calls its state and what sessionstore keeps. Neither of the two knows the other. The
// gateway and the simulation both use it, so that the simulation finds what is forgotten here. It is pure.
package records
