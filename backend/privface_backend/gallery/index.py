"""The gallery in memory: what probes are compared with, as one snapshot that is swapped whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from privface_backend.domain.matching import Contract, LevelMatchedGallery, Template
from privface_backend.domain.memory import NegativeExample, Stranger
from privface_backend.domain.people import EnrolledFace, Person
from privface_backend.plugins.ports import GalleryStore

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_READS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GallerySnapshot:
    """The gallery at one moment.

    ``gallery`` holds the templates of one contract; ``names`` the people's names by id; ``sources`` the path of the
    picture that each face came from, by face id. ``pictures`` gives the face of a person and a picture's digest,
    among the faces that have templates of this contract; ``contracts`` counts the templates of all contracts.
    ``negatives`` and ``strangers`` are of this contract, too; ``ignored`` has the ids of people.
    """

    gallery: LevelMatchedGallery
    names: Mapping[str, str] = field(repr=False)
    sources: Mapping[str, str] = field(repr=False)
    people: tuple[Person, ...] = ()
    faces: tuple[EnrolledFace, ...] = field(default=(), repr=False)
    templates: tuple[Template, ...] = field(default=(), repr=False)
    pictures: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)
    contracts: Mapping[str, int] = field(default_factory=dict)
    negatives: tuple[NegativeExample, ...] = field(default=(), repr=False)
    ignored: frozenset[str] = frozenset()
    strangers: tuple[Stranger, ...] = field(default=(), repr=False)
    revision: int = -1
    memory_revision: int = -1

    @property
    def is_loaded(self) -> bool:
        return self.revision >= 0


NO_CONTRACT: Final = Contract(recognizer="", weights_digest="", dimension=0, alignment="")
EMPTY: Final = GallerySnapshot(gallery=LevelMatchedGallery(()), names=_NOTHING, sources=_NOTHING)


class GalleryIndex:
    """Keeps ``snapshot`` like a store. Refreshed on the storage's thread, read on any: a snapshot never changes.

    Until ``contract`` is known, once the engines are made, it holds the people without templates.
    """

    def __init__(self, contract: Contract | None = None) -> None:
        self._contract = contract
        self._snapshot = EMPTY

    @property
    def snapshot(self) -> GallerySnapshot:
        return self._snapshot

    @property
    def contract(self) -> Contract | None:
        return self._contract

    def use_contract(self, store: GalleryStore, contract: Contract) -> None:
        """Hold the templates of ``contract`` from now on."""
        if contract != self._contract:
            self._contract = contract
            # No probe of the new contract may meet a template of the old one, should the store not answer. The people
            # are the same ones, and whoever looks meanwhile must not take them for gone.
            old = self._snapshot
            self._snapshot = replace(
                EMPTY, names=old.names, sources=old.sources, people=old.people, faces=old.faces, ignored=old.ignored
            )
        self.refresh_if_changed(store)

    def refresh_if_changed(self, store: GalleryStore) -> bool:
        """Read anew what of the store has changed since, by whatever process. Whether something had."""
        now = _revisions(store)
        if now == (self._snapshot.revision, self._snapshot.memory_revision):
            return False
        for _ in range(_READS):
            # Another process may write between the reads: what is kept was read within one revision.
            before, now = now, self._read(store, *now)
            if now == before:
                break
        return True

    def add_face(
        self, store: GalleryStore, face: EnrolledFace, contract: Contract, templates: Sequence[Template]
    ) -> None:
        """Add a face to the store, and take it in without reading the whole store again."""
        self.refresh_if_changed(store)
        store.add_face(face, contract, templates)
        self.follow_face(store, face, contract, templates)

    def follow_face(
        self, store: GalleryStore, face: EnrolledFace, contract: Contract, templates: Sequence[Template]
    ) -> None:
        """Take in a face that was just added to the store; of another contract, without its templates."""
        before = self._snapshot
        is_new = all(known.id != face.id for known in before.faces)
        # One more than before: no other process has written in between.
        if is_new and store.revision() == before.revision + 1:
            self._snapshot = _with_face(before, face, contract, templates, ours=contract == self._contract)
        else:
            self.refresh_if_changed(store)

    def put_stranger(self, store: GalleryStore, stranger: Stranger, *, new: bool) -> bool:
        """Put a stranger into the store, and take them in without reading all others again."""
        self.refresh_if_changed(store)
        if not store.memory.put_stranger(stranger, new=new):
            return False
        self.follow_stranger(store, stranger)
        return True

    def follow_stranger(self, store: GalleryStore, stranger: Stranger) -> None:
        """Take in a stranger who was just put into the store; one of another contract changes nothing here."""
        before = self._snapshot
        # One more than before: no other process has written in between.
        if _revisions(store) != (before.revision, before.memory_revision + 1):
            self.refresh_if_changed(store)
            return
        ours = self._contract is not None and stranger.contract == self._contract.key
        # Of another contract now, they may have been of this one before.
        others = [other for other in before.strangers if other.id != stranger.id]
        strangers = sorted((*others, stranger), key=lambda one: one.number) if ours else others
        self._snapshot = replace(before, strangers=tuple(strangers), memory_revision=before.memory_revision + 1)

    def _read(self, store: GalleryStore, revision: int, memory_revision: int) -> tuple[int, int]:
        """Read what is not of these revisions; the revisions after that."""
        contract = self._contract
        snapshot = self._snapshot if revision == self._snapshot.revision else self._read_gallery(store, revision)
        self._snapshot = replace(
            snapshot,
            negatives=() if contract is None else tuple(store.memory.negatives(contract)),
            strangers=() if contract is None else tuple(store.memory.strangers(contract)),
            memory_revision=memory_revision,
        )
        return _revisions(store)

    def _read_gallery(self, store: GalleryStore, revision: int) -> GallerySnapshot:
        templates = () if self._contract is None else tuple(store.templates(self._contract))
        people = tuple(store.people())
        faces = tuple(store.faces())
        enrolled = {template.face_id for template in templates}
        return GallerySnapshot(
            gallery=LevelMatchedGallery(templates),
            names={person.id: person.name for person in people},
            sources={face.id: face.source for face in faces},
            people=people,
            faces=faces,
            templates=templates,
            pictures={(face.person_id, face.picture_digest): face.id for face in faces if face.id in enrolled},
            contracts=store.contracts(),
            ignored=frozenset(person.id for person in people if person.ignored),
            revision=revision,
        )


def _revisions(store: GalleryStore) -> tuple[int, int]:
    return store.revision(), store.memory.revision()


def _with_face(
    old: GallerySnapshot, face: EnrolledFace, contract: Contract, templates: Sequence[Template], *, ours: bool
) -> GallerySnapshot:
    new = replace(
        old,
        sources={**old.sources, face.id: face.source},
        people=tuple(
            replace(person, faces=person.faces + 1) if person.id == face.person_id else person for person in old.people
        ),
        faces=(*old.faces, face),
        contracts={**old.contracts, contract.key: old.contracts.get(contract.key, 0) + len(templates)},
        revision=old.revision + 1,
    )
    if not ours:
        return new
    everything = (*old.templates, *templates)
    return replace(
        new,
        gallery=LevelMatchedGallery(everything),
        templates=everything,
        pictures={**old.pictures, (face.person_id, face.picture_digest): face.id},
    )
