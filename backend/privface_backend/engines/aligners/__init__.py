"""Engines that cut a face out of a picture the way that a recognizer wants it."""
