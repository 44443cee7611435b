"""A run as one self-contained page: facts are gathered first, then drawn."""
