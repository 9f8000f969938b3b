package proc

import "testing"

func TestParseCores(t *testing.T) {
	t.Parallel()
	before, err := parseCores("cpu  100 20 30 400 50 6 7 8 9 1")
	if want := (Cores{All: 621, Idle: 450, Stolen: 8}); err != nil || before != want {
		t.Fatalf("%+v (%v), want %+v", before, err, want)
	}
	after, err := parseCores("cpu  150 20 30 420 55 6 7 33 9 1")
	if err != nil {
		t.Fatal(err)
	}
	passed := after.Minus(before)
	if want := (Cores{All: 100, Idle: 25, Stolen: 25}); passed != want {
		t.Errorf("%+v, want %+v", passed, want)
	}
	if got := passed.StolenShare(); got != 0.25 {
		t.Errorf("%v of the time is stolen, want a quarter", got)
	}
	if got := (Cores{}).StolenShare(); got != 0 {
		t.Errorf("%v of no time is stolen", got)
	}
	for _, line := range []string{"", "cpu 1 2 3", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3 4 5 6 7 x"} {
		if c, err := parseCores(line); err == nil {
			t.Errorf("%q gives %+v", line, c)
		}
	}
}

func TestReadCores(t *testing.T) {
	t.Parallel()
	c, err := ReadCores()
	if err != nil || c.All <= 0 || c.Idle < 0 || c.Stolen < 0 || c.Idle+c.Stolen > c.All {
		t.Errorf("%+v, %v", c, err)
	}
}
