package reload

import "time"

// Pause is how often files are looked at. What is taken back in a file is in force everywhere within this time after it has reached the node.
const Pause = 2 * time.Second
