"""Parts of the benchmarks: data sets, objectives, solvers, and one process a measurement."""
