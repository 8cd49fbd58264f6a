"""What PrivFace reasons about: frames, faces, templates, decisions. Pure: numpy only, no I/O, no clock."""
