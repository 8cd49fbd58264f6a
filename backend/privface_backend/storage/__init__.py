"""What a run keeps on disk: one SQLite file with the gallery, events and tokens. Used on one thread."""
