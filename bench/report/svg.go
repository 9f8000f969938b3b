package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Sizes in the plot's own units; SVG scales.
const (
	plotWidth, plotHeight  = 760, 340
	plotLeft, plotRight    = 70, 20
	plotTop, plotBottom    = 60, 50
	plotInnerW, plotInnerH = plotWidth - plotLeft - plotRight, plotHeight - plotTop - plotBottom
	// gridLines is about how many lines lie across.
	gridLines = 5
)

// palette tells series apart for all kinds of colour vision, on white and on black.
var palette = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"}

// SVG draws the plot. The axis begins at zero, so that lengths compare as figures do.
func (p Plot) SVG() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", plotWidth, plotHeight)
	text(&b, plotLeft, 20, "start", 15, p.Title)
	step, top := scale(p.max())
	for v := 0.0; v <= top+step/2; v += step {
		y := p.y(v, top)
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#dddddd"/>`+"\n", plotLeft, plotWidth-plotRight, y, y)
		text(&b, plotLeft-8, y+4, "end", 12, number(v))
	}
	slot := float64(plotInnerW) / float64(max(1, len(p.X)))
	for i, x := range p.X {
		text(&b, plotLeft+(float64(i)+0.5)*slot, plotHeight-plotBottom+18, "middle", 12, x)
	}
	text(&b, plotLeft+plotInnerW/2, plotHeight-12, "middle", 12, p.XLabel)
	fmt.Fprintf(&b, `<g transform="rotate(-90)">`)
	text(&b, -(plotTop + plotInnerH/2), 16, "middle", 12, p.YLabel)
	b.WriteString("</g>\n")
	legend := float64(plotLeft)
	for i, s := range p.Series {
		color := palette[i%len(palette)]
		if p.Lines {
			p.line(&b, s, color, slot, top)
		} else {
			p.bars(&b, s, i, color, slot, top)
		}
		fmt.Fprintf(&b, `<rect x="%.1f" y="32" width="12" height="12" fill="%s"/>`+"\n", legend, color)
		text(&b, legend+18, 42, "start", 12, s.Name)
		legend += 34 + 6.5*float64(len(s.Name))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (p Plot) bars(b *strings.Builder, s Series, place int, color string, slot, top float64) {
	width := slot * 0.8 / float64(len(p.Series))
	for i, v := range s.Y {
		if v < 0 {
			continue
		}
		y := p.y(v, top)
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s, %s: %s</title></rect>`+"\n",
			plotLeft+float64(i)*slot+slot*0.1+float64(place)*width, y, width*0.92, float64(plotTop+plotInnerH)-y, color,
			html.EscapeString(s.Name), html.EscapeString(p.X[i]), number(v))
	}
}

func (p Plot) line(b *strings.Builder, s Series, color string, slot, top float64) {
	var points []string
	for i, v := range s.Y {
		if v < 0 {
			continue
		}
		x, y := plotLeft+(float64(i)+0.5)*slot, p.y(v, top)
		points = append(points, fmt.Sprintf("%.1f,%.1f", x, y))
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"><title>%s, %s: %s</title></circle>`+"\n", x, y, color, html.EscapeString(s.Name), html.EscapeString(p.X[i]), number(v))
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), color)
}

func (p Plot) y(v, top float64) float64 { return plotTop + plotInnerH*(1-v/top) }

func (p Plot) max() (most float64) {
	for _, s := range p.Series {
		for _, v := range s.Y {
			most = max(most, v)
		}
	}
	return most
}

// scale chooses the distance of the grid's lines, 1, 2 or 5 times a power of ten, and the end of the axis.
func scale(most float64) (step, top float64) {
	if most <= 0 {
		return 1, 1
	}
	step = math.Pow(10, math.Floor(math.Log10(most/gridLines)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if most/(step*factor) <= gridLines {
			step *= factor
			break
		}
	}
	return step, step * math.Ceil(most/step)
}

func text(b *strings.Builder, x, y float64, anchor string, size int, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%d" fill="#333333">%s</text>`+"\n", x, y, anchor, size, html.EscapeString(s))
}
