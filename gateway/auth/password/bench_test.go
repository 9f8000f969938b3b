package password

import "testing"

// BenchmarkHash is what a login costs whose password is not remembered.
func BenchmarkHash(b *testing.B) {
	text, err := Hash([]byte("apple"))
	if err != nil {
		b.Fatal(err)
	}
	h, err := parseHash(text)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !h.matches([]byte("apple")) {
			b.Fatal("not right")
		}
	}
}
