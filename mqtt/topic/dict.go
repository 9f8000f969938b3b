package topic

import "hash/maphash"

// dict is an immutable map: put and del return a changed copy that shares all but a path of at most a few hundred bytes with
// the original. A plain map would have to be copied whole for each change, which is too slow where 100,000 devices are
// siblings on one level. The nil *dict is empty.
//
// A dict is a bucket of a few entries, or, beyond bucketSize, a branch of sixteen dicts chosen by four bits of the key's hash.
type dict[K comparable, V any] struct {
	count  int
	bucket []entry[K, V]
	branch *[16]*dict[K, V]
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

const hashBits = 64

// seed makes the shape of all dicts unpredictable, so that no device can choose keys that fall into one branch.
var seed = maphash.MakeSeed()

func (d *dict[K, V]) len() int {
	if d == nil {
		return 0
	}
	return d.count
}

func (d *dict[K, V]) get(key K) (value V, ok bool) {
	if d == nil {
		return value, false
	}
	if d.branch != nil {
		for hash := maphash.Comparable(seed, key); d != nil && d.branch != nil; hash >>= 4 {
			d = d.branch[hash&15]
		}
		if d == nil {
			return value, false
		}
	}
	for i := range d.bucket {
		if d.bucket[i].key == key {
			return d.bucket[i].value, true
		}
	}
	return value, false
}

// put returns a dict in which key has value.
func (d *dict[K, V]) put(key K, value V) *dict[K, V] {
	return d.putAt(key, value, 0)
}

func (d *dict[K, V]) putAt(key K, value V, depth uint) *dict[K, V] {
	if d == nil {
		return &dict[K, V]{count: 1, bucket: []entry[K, V]{{key, value}}}
	}
	if d.branch != nil {
		branch := *d.branch
		at := slot(key, depth)
		old := branch[at]
		branch[at] = old.putAt(key, value, depth+1)
		return &dict[K, V]{count: d.count - old.len() + branch[at].count, branch: &branch}
	}
	for i := range d.bucket {
		if d.bucket[i].key == key {
			bucket := append([]entry[K, V](nil), d.bucket...)
			bucket[i].value = value
			return &dict[K, V]{count: d.count, bucket: bucket}
		}
	}
	bucket := make([]entry[K, V], len(d.bucket)+1)
	copy(bucket, d.bucket)
	bucket[len(d.bucket)] = entry[K, V]{key, value}
	// Keys whose hashes agree in all bits stay in one bucket however large it gets.
	if len(bucket) <= bucketSize || depth*4 >= hashBits {
		return &dict[K, V]{count: len(bucket), bucket: bucket}
	}
	return split(bucket, depth)
}

// split makes a branch of a bucket that has grown too large.
func split[K comparable, V any](bucket []entry[K, V], depth uint) *dict[K, V] {
	branch := new([16]*dict[K, V])
	for _, e := range bucket {
		at := slot(e.key, depth)
		branch[at] = branch[at].putAt(e.key, e.value, depth+1)
	}
	return &dict[K, V]{count: len(bucket), branch: branch}
}

func slot[K comparable](key K, depth uint) uint64 {
	return maphash.Comparable(seed, key) >> (4 * depth) & 15
}

// del returns a dict without key; d itself when key is not in it, nil when nothing remains.
func (d *dict[K, V]) del(key K) *dict[K, V] {
	return d.delAt(key, 0)
}

func (d *dict[K, V]) delAt(key K, depth uint) *dict[K, V] {
	if d == nil {
		return nil
	}
	if d.branch != nil {
		at := slot(key, depth)
		old := d.branch[at]
		changed := old.delAt(key, depth+1)
		if changed == old {
			return d
		}
		branch := *d.branch
		branch[at] = changed
		less := &dict[K, V]{count: d.count - 1, branch: &branch}
		if less.count <= bucketSize/2 { // half: a set at the limit must not split and join with each change
			return less.join()
		}
		return less
	}
	for i := range d.bucket {
		if d.bucket[i].key != key {
			continue
		}
		if len(d.bucket) == 1 {
			return nil
		}
		bucket := make([]entry[K, V], 0, len(d.bucket)-1)
		bucket = append(append(bucket, d.bucket[:i]...), d.bucket[i+1:]...)
		return &dict[K, V]{count: len(bucket), bucket: bucket}
	}
	return d
}

// join makes one bucket of a branch with few entries.
func (d *dict[K, V]) join() *dict[K, V] {
	bucket := make([]entry[K, V], 0, d.count)
	d.each(func(key K, value V) { bucket = append(bucket, entry[K, V]{key, value}) })
	return &dict[K, V]{count: len(bucket), bucket: bucket}
}

// each calls f for each entry, in no particular order.
func (d *dict[K, V]) each(f func(K, V)) {
	if d == nil {
		return
	}
	for i := range d.bucket {
		f(d.bucket[i].key, d.bucket[i].value)
	}
	if d.branch != nil {
		for _, kid := range d.branch {
			kid.each(f)
		}
	}
}
