package suite

import "time"

// point is one look at something that should stay as it is.
type point struct {
	at    time.Duration // since the first look
	value float64
}

// line is the straight line that lies closest to the points (least squares): its value at the first point, and how much it rises in a minute.
func line(points []point) (start, perMinute float64) {
	n := float64(len(points))
	if n == 0 {
		return 0, 0
	}
	var sumX, sumY, sumXX, sumXY float64
	for _, p := range points {
		x := (p.at - points[0].at).Minutes()
		sumX, sumY, sumXX, sumXY = sumX+x, sumY+p.value, sumXX+x*x, sumXY+x*p.value
	}
	if spread := n*sumXX - sumX*sumX; spread > 0 {
		perMinute = (n*sumXY - sumX*sumY) / spread
	}
	return (sumY - perMinute*sumX) / n, perMinute
}
