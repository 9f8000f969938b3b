// Package report holds the results of the benchmark and writes them: as JSON, as a page of markdown, and as SVG plots.
//
// What lives here: Section with its table, targets and plots, the files that make a run resumable, and docs/performance.md with what belongs to it. What
// does not: measuring (bench/suite). The page is made of the JSON alone, so that it can be written anew without a run.
package report
