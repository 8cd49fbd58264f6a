"""The plugin seam: what an engine must do (ports), how it is declared (spec), which exist (registry)."""
