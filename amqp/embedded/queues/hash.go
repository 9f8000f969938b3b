package queues

import (
	"fmt"
	"hash/fnv"
	"sort"
	"strconv"
)

// ArgumentsHash is the text that stands for a binding's arguments in its location: empty without arguments. It says the same for equal
// arguments, whatever their order.
func ArgumentsHash(args map[string]any) string {
	if len(args) == 0 {
		return ""
	}
	keys := make([]string, 0, len(args))
	for k := range args {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	h := fnv.New64a()
	for _, k := range keys {
		fmt.Fprintf(h, "%q=%T:%v;", k, args[k], args[k])
	}
	return strconv.FormatUint(h.Sum64(), 36)
}
