"""The indexes of all contracts in use: that of the backend's own engines and that of user sides, kept in step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from privface_backend.domain.matching import Contract, Template, is_sealed_key
from privface_backend.domain.memory import Stranger
from privface_backend.domain.people import EnrolledFace
from privface_backend.gallery.index import GalleryIndex
from privface_backend.plugins.ports import GalleryStore


class GalleryIndexes:
    """People, faces and their names are in each; templates, negative examples and strangers in that of their contract,
    so that a probe meets those of its own only. ``sealed``: of user sides' templates, where they are beside others; a
    backend that has templates of one kind only has ``main`` alone. Changed on the storage's thread."""

    def __init__(self, main: GalleryIndex, sealed: GalleryIndex | None = None) -> None:
        self.main: Final = main
        self.sealed: Final = sealed
        self.all: Final = (main,) if sealed is None else (main, sealed)

    def of(self, contract: str) -> GalleryIndex:
        """Where a contract's templates are, by its key, if it is one of those in use."""
        return self.sealed if self.sealed is not None and is_sealed_key(contract) else self.main

    @property
    def usable_faces(self) -> frozenset[str]:
        """The ids of the faces that have templates of a contract in use."""
        return frozenset(template.face_id for index in self.all for template in index.snapshot.templates)

    @property
    def sealed_faces(self) -> frozenset[str]:
        """The ids of those of them whose contract is a user side's."""
        sealed = [index for index in self.all if index.contract is not None and index.contract.is_sealed]
        return frozenset(template.face_id for index in sealed for template in index.snapshot.templates)

    @property
    def templates(self) -> int:
        """How many templates of contracts in use there are."""
        return sum(len(index.snapshot.templates) for index in self.all)

    def refresh_if_changed(self, store: GalleryStore) -> bool:
        """Read anew what of the store has changed since, by whatever process. Whether something had."""
        changed = [index.refresh_if_changed(store) for index in self.all]
        return any(changed)

    def add_face(
        self, store: GalleryStore, face: EnrolledFace, contract: Contract, templates: Sequence[Template]
    ) -> None:
        """Add a face to the store, and take it in."""
        home = self.of(contract.key)
        home.add_face(store, face, contract, templates)
        for other in self._others(home):
            other.follow_face(store, face, contract, templates)

    def put_stranger(self, store: GalleryStore, stranger: Stranger, *, new: bool) -> bool:
        """Put a stranger into the store, and take them in. Whether the store took them."""
        home = self.of(stranger.contract)
        if not home.put_stranger(store, stranger, new=new):
            return False
        for other in self._others(home):
            other.follow_stranger(store, stranger)
        return True

    def _others(self, home: GalleryIndex) -> list[GalleryIndex]:
        return [index for index in self.all if index is not home]
