"""From documents to plots."""
