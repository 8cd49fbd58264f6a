"""Engines that turn aligned crops into embeddings."""
