"""Frigate: pictures of what it follows come in, names go back."""
