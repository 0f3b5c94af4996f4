"""What CHGNet was fitted to, known without loading it."""

NOT_IN_MPTRJ = frozenset({"Po", "At", "Rn", "Fr", "Ra"})
"""Of the first 94 elements; MPtrj, which all weights were fitted to first, holds the other 89."""
