"""The people: enrolling, renaming and forgetting them, and the index that probes are compared with."""
