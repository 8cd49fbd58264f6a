"""Engines that give frames: videos, camera links, webcams."""
