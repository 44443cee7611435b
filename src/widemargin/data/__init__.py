"""Data in: readers, the packed store, rows as kernels see them."""
