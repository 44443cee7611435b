"""Where a solver runs: loops, seeds, deadlines; no maths."""
