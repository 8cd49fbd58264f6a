"""PrivFace's backend: detect, align, represent, verify against the people of a household."""

__version__ = "0.1.0"
