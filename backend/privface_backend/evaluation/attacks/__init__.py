"""Attacks: how often somebody with a gallery finds out whom anonymized frames or protected templates show.

The attacker's aim is a name. They hold clear pictures of many people, each with a name (of each person, at least one
picture, never the probe itself), a recognizer and a detector as good as PrivFace's own, and pictures of other people
to learn from. Everything but keys is public to them: the method, its parameter and its kernel, how frames are encoded,
this code. They see

- anonymized frames, as they cross the wire (``observing``), and search the faces in them in their gallery: as they are,
  restored (``restoration``, ``network``), or with templates mapped to clear ones (``regression``); or
- templates that an installation protects with a secret orthonormal matrix (``templates``), of which they may have those
  of two installations.

They see one picture at a time: what frames of one visit give together is not measured here. Nobody of those to learn
from is searched or in the gallery.
"""
