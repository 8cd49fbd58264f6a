"""Engines that take detail away from a picture."""
