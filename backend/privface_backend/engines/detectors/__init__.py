"""Engines that find faces."""
