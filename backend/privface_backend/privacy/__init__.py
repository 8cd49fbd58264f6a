"""Measuring what recognition can do and what anonymization hides."""
