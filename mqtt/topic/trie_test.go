package topic_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sluice/mqtt/topic"
)

// naiveTrie is what a Trie must do, as a map searched from end to end.
type naiveTrie map[string]map[int]bool

func (n naiveTrie) add(filter string, v int) (first bool) {
	first = len(n[filter]) == 0
	if first {
		n[filter] = map[int]bool{}
	}
	n[filter][v] = true
	return first
}

func (n naiveTrie) remove(filter string, v int) (last bool) {
	had := n[filter][v]
	delete(n[filter], v)
	last = had && len(n[filter]) == 0
	if len(n[filter]) == 0 {
		delete(n, filter)
	}
	return last
}

func (n naiveTrie) match(name string) []int {
	found := map[int]bool{}
	for filter, subscribers := range n {
		if naiveMatch(filter, name) {
			for v := range subscribers {
				found[v] = true
			}
		}
	}
	all := []int{}
	for v := range found {
		all = append(all, v)
	}
	slices.Sort(all)
	return all
}

// deepen puts a filter or name below a prefix that crosses the depth at which a Trie stops making nodes.
func deepen(t *rapid.T, s string) string {
	return strings.Repeat("d/", rapid.SampledFrom([]int{0, 0, 0, 60, 62, 63, 64, 65, 100}).Draw(t, "deeper")) + s
}

func TestTrieAgreesWithNaiveTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var trie topic.Trie[int]
		twin := naiveTrie{}
		subscriber := rapid.IntRange(0, 20)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				filter, v := deepen(t, genFilter(t)), subscriber.Draw(t, "v")
				if got, want := trie.Add(filter, v), twin.add(filter, v); got != want {
					t.Fatalf("Add(%q, %d) = %v, want %v", filter, v, got, want)
				}
			},
			"addMany": func(t *rapid.T) {
				filter := deepen(t, genFilter(t))
				for v := range 40 {
					if got, want := trie.Add(filter, v), twin.add(filter, v); got != want {
						t.Fatalf("Add(%q, %d) = %v, want %v", filter, v, got, want)
					}
				}
			},
			"remove": func(t *rapid.T) {
				filter, v := deepen(t, genFilter(t)), subscriber.Draw(t, "v")
				if len(twin) > 0 && rapid.Bool().Draw(t, "present") {
					filters := make([]string, 0, len(twin))
					for f := range twin {
						filters = append(filters, f)
					}
					slices.Sort(filters)
					filter = rapid.SampledFrom(filters).Draw(t, "of")
				}
				if got, want := trie.Remove(filter, v), twin.remove(filter, v); got != want {
					t.Fatalf("Remove(%q, %d) = %v, want %v", filter, v, got, want)
				}
			},
			"": func(t *rapid.T) {
				if trie.Len() != len(twin) {
					t.Fatalf("Len() = %d, want %d", trie.Len(), len(twin))
				}
				name := deepen(t, genName(t))
				got := trie.Match([]int{}, name)
				slices.Sort(got)
				if diff := cmp.Diff(twin.match(name), got); diff != "" {
					t.Fatalf("Match(%q) (-want +got):\n%s", name, diff)
				}
			},
		})
	})
}

// Many siblings and many subscribers of one filter make the sets split and join again.
func TestTrieGrowsAndEmpties(t *testing.T) {
	const many = 3000
	var trie topic.Trie[int]
	for v := range many {
		if !trie.Add(fmt.Sprintf("device/%d/cmd", v), v) {
			t.Fatalf("filter %d was there before", v)
		}
		if first := trie.Add("all", v); first != (v == 0) {
			t.Fatalf("Add(all, %d) = %v", v, first)
		}
	}
	for v := range many {
		if got := trie.Match(nil, fmt.Sprintf("device/%d/cmd", v)); !slices.Equal(got, []int{v}) {
			t.Fatalf("device %d: %v", v, got)
		}
	}
	all := trie.Match(nil, "all")
	slices.Sort(all)
	if len(all) != many || all[0] != 0 || all[many-1] != many-1 || len(slices.Compact(all)) != many {
		t.Fatalf("all: %d subscribers", len(all))
	}
	for v := range many {
		if !trie.Remove(fmt.Sprintf("device/%d/cmd", v), v) {
			t.Fatalf("filter %d had others", v)
		}
		if last := trie.Remove("all", v); last != (v == many-1) {
			t.Fatalf("Remove(all, %d) = %v", v, last)
		}
	}
	if trie.Len() != 0 || len(trie.Match(nil, "all")) != 0 {
		t.Fatalf("%d filters are left", trie.Len())
	}
}

// More matching filters than are compared pairwise, all of one subscriber.
func TestTrieManyOverlappingFilters(t *testing.T) {
	var trie topic.Trie[string]
	for mask := range 1 << 6 {
		levels := make([]string, 6)
		for i := range levels {
			levels[i] = "a"
			if mask>>i&1 == 1 {
				levels[i] = "+"
			}
		}
		trie.Add(strings.Join(levels, "/"), "x")
	}
	if got := trie.Match([]string{"kept"}, "a/a/a/a/a/a"); !slices.Equal(got, []string{"kept", "x"}) {
		t.Errorf("Match = %v", got)
	}
}

// A trie must not hold on to the packet buffer from which a filter came.
func TestTrieCopiesFilter(t *testing.T) {
	buffer := []byte("a/b/c")
	var trie topic.Trie[int]
	trie.Add(unsafe.String(&buffer[0], len(buffer)), 1)
	copy(buffer, "xxxxx")
	if got := trie.Match(nil, "a/b/c"); !slices.Equal(got, []int{1}) {
		t.Errorf("Match = %v after the caller's buffer changed", got)
	}
}

func TestTrieHugeFilter(t *testing.T) {
	var trie topic.Trie[int]
	huge := strings.Repeat("/", topic.MaxLength)
	trie.Add(huge, 1)
	trie.Add(strings.Repeat("+/", topic.MaxLength/2)+"#", 2)
	got := trie.Match(nil, huge)
	slices.Sort(got)
	if !slices.Equal(got, []int{1, 2}) {
		t.Errorf("Match = %v", got)
	}
	if !trie.Remove(huge, 1) || trie.Len() != 1 {
		t.Error("the filter stayed")
	}
}

// A subscription that nobody touches is found by every Match while others come and go.
func TestTrieReadersSeeSteadySubscriptions(t *testing.T) {
	var trie topic.Trie[int]
	trie.Add("a/+/c", -1)
	trie.Add("a/#", -2)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range 2 {
		writers.Go(func() {
			for i := range 2000 {
				filter := fmt.Sprintf("a/%d/c", i%50)
				trie.Add(filter, w)
				trie.Remove(filter, w)
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			var found []int
			for {
				found = trie.Match(found[:0], "a/7/c")
				if !slices.Contains(found, -1) || !slices.Contains(found, -2) {
					t.Errorf("Match = %v", found)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	if trie.Len() != 2 {
		t.Errorf("Len() = %d, want 2", trie.Len())
	}
}

func TestTrieMatchDoesNotAllocate(t *testing.T) {
	trie := fill(1000)
	found := make([]int, 0, 16)
	if n := testing.AllocsPerRun(100, func() { found = trie.Match(found[:0], "site/3/device/503/cmd") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(found) != 3 {
		t.Errorf("found %v, want three subscribers", found)
	}
}

// fill makes a trie as a node has it: a command filter per device, and a few broad ones.
func fill(filters int) *topic.Trie[int] {
	var trie topic.Trie[int]
	for i := range filters {
		trie.Add(fmt.Sprintf("site/%d/device/%d/cmd", i%100, i), i)
	}
	trie.Add("site/+/device/+/cmd", -1)
	trie.Add("site/3/#", -2)
	return &trie
}

func BenchmarkTrieMatch(b *testing.B) {
	trie := fill(100_000)
	found := make([]int, 0, 16)
	b.ReportAllocs()
	for b.Loop() {
		found = trie.Match(found[:0], "site/3/device/50003/cmd")
	}
}

func BenchmarkTrieMatchParallelWithWriter(b *testing.B) {
	trie := fill(100_000)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				trie.Add("site/3/device/new/cmd", 7)
				trie.Remove("site/3/device/new/cmd", 7)
			}
		}
	}()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		found := make([]int, 0, 16)
		for pb.Next() {
			found = trie.Match(found[:0], "site/3/device/50003/cmd")
		}
	})
	close(stop)
	<-stopped
}

func BenchmarkTrieAddRemove(b *testing.B) {
	trie := fill(100_000)
	b.ReportAllocs()
	for b.Loop() {
		trie.Add("site/3/device/new/cmd", 1)
		trie.Remove("site/3/device/new/cmd", 1)
	}
}
