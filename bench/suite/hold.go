package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"sluice/bench/crowd"
	"sluice/bench/proc"
	"sluice/bench/report"
)

const (
	// holdRate is the messages a second in each direction, of all devices together.
	holdRate = 500
	// holdKeepAlive is that of the devices.
	holdKeepAlive = time.Minute
	// holdWarm is how long the load goes on before memory is looked at: until collectors have found their size, which takes a few of their rounds of a
	// minute or two, and buffers theirs.
	holdWarm = 5 * time.Minute
	// holdLooks is how often memory is looked at.
	holdLooks = 120
	// holdGrowthMost is how much memory may grow in the time, in percent: what a collector's rhythm makes of memory that is flat.
	holdGrowthMost = 3
)

// holding is a number of connections on a number of nodes.
type holding struct{ devices, nodes int }

func (h holding) String() string {
	return count(h.devices, "connection") + " on " + count(h.nodes, "node")
}

func (l *Lab) holdScenario(ctx context.Context, s Settings, _ float64) (*report.Section, error) {
	return l.holding(ctx, s.Held[0], s)
}

// holdManyScenario has results of its own, since each of the two takes long.
func (l *Lab) holdManyScenario(ctx context.Context, s Settings, _ float64) (*report.Section, error) {
	return l.holding(ctx, s.Held[1], s)
}

func (l *Lab) holding(ctx context.Context, h holding, s Settings) (*report.Section, error) {
	section := &report.Section{
		Title: "Held under load: " + h.String(),
		Text: []string{
			fmt.Sprintf("Devices stay connected for %v under a steady load: %d messages a second at QoS 1 from the devices to an AMQP consumer, each device in its turn, and as many from "+
				"an AMQP producer to the devices, of which one in %d is subscribed at QoS 1 and the others at QoS 0. Each device sends PINGREQ twice in its keep alive of %v. "+
				"A connection that ends, a ping without an answer and a message that is lost fail the run, at QoS 0 too: there are no figures then.",
				s.Hold, holdRate, subscribedOneIn, holdKeepAlive),
			fmt.Sprintf("Memory is resident memory of all nodes together, looked at %d times, from %v after the load began. Growth is that of the straight line that lies closest "+
				"to these looks (least squares). The devices are in processes of their own, at most one node's in each, since a process may have only so many files open.", holdLooks, s.holdWarm()),
		},
		Columns: []report.Column{
			{Key: "mib", Head: "gateway MiB at first"}, {Key: "slope", Head: "growth, KiB/min"}, {Key: "growth", Head: "growth in the time, %"},
			{Key: "kib", Head: "KiB per connection"}, {Key: "bus_mib", Head: "bus MiB at first"}, {Key: "bus_growth", Head: "bus growth in the time, %"},
			{Key: "connections_lost", Head: "connections lost"}, {Key: "messages", Head: "messages"}, {Key: "lost", Head: "messages lost"}, {Key: "doubled", Head: "twice at QoS 1"},
			{Key: "up_p99", Head: "p99 up, ms"}, {Key: "down_p99", Head: "p99 down, ms"}, {Key: "cpu", Head: "gateway, % of a core"}, {Key: "connects", Head: "connects and SUBSCRIBEs/s"},
		},
	}
	l.say("%s", h)
	row, plot, err := l.hold(ctx, h, s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h, err)
	}
	section.Rows, section.Plots = []report.Row{row}, []report.Plot{plot}
	section.Targets = []report.Target{
		report.AtMost("hold-memory", fmt.Sprintf("%s held for %v under load: growth of memory in %%", h, s.Hold), holdGrowthMost, row.Values["growth"]),
		report.AtMost("hold-lost", fmt.Sprintf("%s held for %v under load: connections and messages lost", h, s.Hold), 0, row.Values["connections_lost"]+row.Values["lost"]),
	}
	return section, nil
}

func (l *Lab) hold(ctx context.Context, h holding, s Settings) (row report.Row, plot report.Plot, err error) {
	row = report.Row{Case: h.String(), Peer: peerSluice}
	undo := &unwind{}
	defer func() { err = errors.Join(err, undo.run()) }()
	// The nodes are the last to end: then the bus is busy with removing what they had subscribed.
	nodes, stop, err := l.startNodes(ctx, h.nodes)
	if err != nil {
		return row, plot, err
	}
	undo.add(func() error { stop(); return nil })
	var crowds []*crowd.Process
	for i, n := range nodes {
		began := time.Now()
		c, said, err := l.crowd(ctx, n, h, i, s, undo)
		if err != nil {
			return row, plot, err
		}
		crowds = append(crowds, c)
		l.say("    %s after %.1f s", count((i+1)*h.devices/h.nodes, "connection"), time.Since(began).Seconds())
		row.Set("connects", float64(h.devices/h.nodes)/said.Took.Seconds())
	}
	share, err := stolen()
	if err != nil {
		return row, plot, err
	}
	done := l.carry(crowds)
	memory, bus, used, err := l.watch(ctx, pids(nodes), s, done)
	if err != nil {
		return row, plot, err
	}
	taken, err := share()
	if err != nil {
		return row, plot, err
	}
	l.calm.note(taken)
	r := <-done
	if r.err != nil {
		return row, plot, r.err
	}
	r.set(&row)
	setGrowth(&row, memory, bus, h.devices)
	row.Set("cpu", 100*used.CPU.Minutes()/memory[len(memory)-1].at.Minutes())
	v := row.Values
	l.say("    %.0f messages, %.0f lost; %.1f MiB at first, %+.0f KiB a minute, %+.2f %% in all", v["messages"], v["lost"], v["mib"], v["slope"], v["growth"])
	return row, holdPlot(h, memory, bus), nil
}

// crowd starts the devices of node i of those that hold h.
func (l *Lab) crowd(ctx context.Context, n *node, h holding, i int, s Settings, undo *unwind) (*crowd.Process, crowd.Connected, error) {
	name, each := l.name(), h.devices/h.nodes
	queue, remove, err := l.queue(ctx, name, crowd.UpPrefix(name))
	if err != nil {
		return nil, crowd.Connected{}, err
	}
	undo.add(remove)
	program, err := os.Executable()
	if err != nil {
		return nil, crowd.Connected{}, err
	}
	c, said, err := crowd.Start(ctx, program, crowd.Job{
		Server: n.plain, Bus: l.busURL, Queue: queue, Name: name, Devices: each, First: i * each, OneIn: subscribedOneIn, Rate: holdRate / float64(h.nodes), Size: usual,
		KeepAlive: holdKeepAlive, Warm: s.holdWarm(), Hold: s.Hold,
	}, l.out)
	if err == nil {
		undo.add(c.Close)
	}
	return c, said, err
}

// carried is what all crowds together say at the end.
type carried struct {
	flows []crowd.Result
	err   error
}

// carry has all crowds begin with the load at once.
func (l *Lab) carry(crowds []*crowd.Process) chan carried {
	done, each := make(chan carried, 1), make(chan carried, len(crowds))
	for _, c := range crowds {
		go func() {
			r, err := c.Hold()
			each <- carried{[]crowd.Result{r}, err}
		}()
	}
	go func() {
		var all carried
		for range crowds {
			one := <-each
			all.flows, all.err = append(all.flows, one.flows...), errors.Join(all.err, one.err)
			if one.err != nil {
				break // the others would go on to the end
			}
		}
		done <- all
	}()
	return done
}

func (c carried) set(row *report.Row) {
	var messages, lost, doubled int64
	var up, down time.Duration
	for _, r := range c.flows {
		for _, f := range []crowd.Flow{r.Up, r.Down} {
			messages, lost, doubled = messages+f.Sent, lost+f.Lost, doubled+f.Doubled
		}
		up, down = max(up, r.Up.P99), max(down, r.Down.P99)
	}
	row.Set("connections_lost", 0) // one would have been an error
	row.Set("messages", float64(messages))
	row.Set("lost", float64(lost))
	row.Set("doubled", float64(doubled))
	row.Set("up_p99", float64(up)/float64(time.Millisecond))
	row.Set("down_p99", float64(down)/float64(time.Millisecond))
}

// errOver ends a watch whose load is over a moment sooner than the last look was due.
var errOver = errors.New("the load is over")

// watch looks at the memory of the nodes and the bus for as long as the connections are held, after the warm-up. It leaves in done what was there.
func (l *Lab) watch(ctx context.Context, pids []int, s Settings, done chan carried) (memory, bus []point, used proc.Use, err error) {
	if err := waitFor(ctx, s.holdWarm(), done); err != nil {
		return nil, nil, used, err
	}
	var first proc.Use
	began, told := time.Now(), time.Now()
	// A look that comes late does not delay the next one.
	for i := 0; i <= holdLooks; i = int(time.Since(began)*holdLooks/s.Hold) + 1 {
		err := waitFor(ctx, time.Until(began.Add(s.Hold*time.Duration(i)/holdLooks)), done)
		now := time.Since(began)
		if errors.Is(err, errOver) && now > s.Hold*9/10 {
			break
		}
		nodes, errNodes := proc.Read(pids...)
		broker, errBus := proc.Read(l.busPID)
		if err := errors.Join(err, errNodes, errBus); err != nil {
			return nil, nil, used, err
		}
		if len(memory) == 0 {
			first = nodes
		}
		used = nodes.Minus(first)
		memory = append(memory, point{now, float64(nodes.RSS)})
		bus = append(bus, point{now, float64(broker.RSS)})
		if time.Since(told) >= time.Minute {
			told = time.Now()
			l.say("    %v of %v: gateway %.1f MiB, bus %.1f MiB", now.Round(time.Second), s.Hold, float64(nodes.RSS)/(1<<20), float64(broker.RSS)/(1<<20))
		}
	}
	return memory, bus, used, nil
}

// waitFor waits, unless the load ends.
func waitFor(ctx context.Context, d time.Duration, done chan carried) error {
	select {
	case r := <-done:
		done <- r
		if r.err != nil {
			return r.err
		}
		return errOver
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func setGrowth(row *report.Row, memory, bus []point, devices int) {
	over := memory[len(memory)-1].at.Minutes()
	start, slope := line(memory)
	row.Set("mib", start/(1<<20))
	row.Set("slope", slope/1024)
	row.Set("growth", 100*slope*over/start)
	row.Set("kib", start/1024/float64(devices))
	start, slope = line(bus)
	row.Set("bus_mib", start/(1<<20))
	row.Set("bus_growth", 100*slope*over/start)
}

func holdPlot(h holding, memory, bus []point) report.Plot {
	p := report.Plot{
		File: fmt.Sprintf("hold-%d", h.devices), Title: fmt.Sprintf("Resident memory of %s under load", h), XLabel: "minutes", YLabel: "MiB", Lines: true,
		Series: []report.Series{{Name: peerSluice}, {Name: "RabbitMQ"}},
	}
	for i, m := range memory {
		if i%max(len(memory)/10, 1) == 0 {
			p.X = append(p.X, fmt.Sprintf("%.3g", m.at.Minutes()))
			p.Series[0].Y, p.Series[1].Y = append(p.Series[0].Y, m.value/(1<<20)), append(p.Series[1].Y, bus[i].value/(1<<20))
		}
	}
	return p
}
