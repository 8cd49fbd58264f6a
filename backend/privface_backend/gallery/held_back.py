"""The pictures that lie in a directory, all or under a person's name, by their files' sha256."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from privface_backend.domain.people import clean_name, same_name
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.listing import LONGEST_PICTURE, FolderPicture, list_folder, read_picture


def pictures_of(folder: Path, name: str) -> frozenset[str]:
    """Those under a name. Empty where the directory isn't there."""
    return _digests(folder, lambda picture: same_name(clean_name(picture.name), name))


def digests_in(folder: Path) -> frozenset[str]:
    """All. Empty where the directory isn't there."""
    return _digests(folder, lambda _picture: True)


def _digests(folder: Path, wanted: Callable[[FolderPicture], bool]) -> frozenset[str]:
    try:
        listing = list_folder(folder)
    except PrivFaceError:
        return frozenset()
    digests: set[str] = set()
    for picture in listing.pictures:
        # What can't be read, or has no name that could be a person's, is never enrolled.
        with contextlib.suppress(PrivFaceError):
            if wanted(picture):
                digests.add(sha256(read_picture(picture, LONGEST_PICTURE)).hexdigest())
    return frozenset(digests)
