"""The tour: what else there is, each part run on data made from a seed or that come along."""
