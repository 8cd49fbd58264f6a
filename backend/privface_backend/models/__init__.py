"""The weights store: which weights exist where, recognized by sha256."""
