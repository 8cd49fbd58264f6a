"""Draws pictures into files, as a command for interpreters that lack the backend: see ``DrawnPictures``.

python -m support.drawing DIRECTORY NAME…    NAME: identities joined by dashes, or nobody; shade; side: 1-2_128_160.jpg
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

from privface_backend.engines.synthetic import draw_face, ground


def draw(path: Path) -> None:
    """Draw the picture that the file's name describes."""
    people, shade, side = path.stem.split("_")
    frame = ground(640, 360)
    frame[:] = int(shade)
    for place, identity in enumerate([] if people == "nobody" else people.split("-")):
        draw_face(frame, int(identity), 20 + place * 200, 80, int(side))
    assert cv2.imwrite(str(path), frame)


if __name__ == "__main__":
    for name in sys.argv[2:]:
        draw(Path(sys.argv[1]) / name)
