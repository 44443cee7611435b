"""How one step is taken: one file per algorithm."""
