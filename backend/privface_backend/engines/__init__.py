"""The engines: heavy imports live here only. Nothing outside imports a module of this package by name."""
