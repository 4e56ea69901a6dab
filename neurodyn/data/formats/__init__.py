"""File formats: one reader each."""
