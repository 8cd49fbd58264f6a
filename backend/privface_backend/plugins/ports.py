"""The ports: what the pipeline asks of each kind of engine.

Detectors, aligners, recognizers and anonymizers are made and run on the lane's thread only.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from privface_backend.domain.consent import Consent
from privface_backend.domain.faces import DetectedFace, LandmarkSet, Vectors
from privface_backend.domain.frames import Frame, Pixels
from privface_backend.domain.geometry import Box, Points, Size
from privface_backend.domain.matching import Contract, Template
from privface_backend.domain.memory import KeptVisit, NegativeExample, Stranger
from privface_backend.domain.people import EnrolledFace, Person
from privface_backend.domain.privacy import Noise
from privface_backend.protocol import Event


class Weights(Protocol):
    """Where engines get their weights: checked files only."""

    def path(self, name: str) -> Path:
        """The verified file of the weights called ``name``.

        Raises:
            PrivFaceError: ``weights_missing`` or ``weights_mismatch``.
        """

    def digest(self, name: str) -> str:
        """The sha256 of that file, hexadecimal."""

    @property
    def deepface_home(self) -> Path:
        """The folder to give to DeepFace as ``DEEPFACE_HOME``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineContext:
    """What an engine's factory is given."""

    weights: Weights
    options: dict[str, object] = field(default_factory=dict)


@runtime_checkable
class Detector(Protocol):
    """Finds faces."""

    @property
    def name(self) -> str: ...

    @property
    def landmarks(self) -> LandmarkSet:
        """Which landmarks come with each face; a face may still lack them."""

    def detect(self, pixels: Pixels) -> Sequence[DetectedFace]:
        """All faces, best score first, in the pixels of this picture. None found: empty."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CropTemplate:
    """Where a recognizer wants the landmarks of a face.

    ``size``: of the crop. ``landmarks``: float32 (5, 2), in pixels of the crop, in the order of
    ``LandmarkSet.FIVE``. ``name`` stands in the embedding contract.
    """

    name: str
    size: Size
    landmarks: Points


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerIdentity:
    """What makes two embeddings comparable: they come from one identity, through one alignment."""

    name: str
    weights_digest: str
    dimension: int


@runtime_checkable
class Recognizer(Protocol):
    """Turns aligned crops into embeddings."""

    @property
    def identity(self) -> RecognizerIdentity: ...

    @property
    def template(self) -> CropTemplate: ...

    @property
    def verification_threshold(self) -> float:
        """The published threshold for clear pairs, as a cosine similarity."""

    def represent(self, crops: Sequence[Pixels]) -> Vectors:
        """One unit vector a crop: float32 (n, dimension). Crops have the template's size."""


@runtime_checkable
class Aligner(Protocol):
    """Cuts a face out of a picture the way that a recognizer wants it."""

    @property
    def name(self) -> str:
        """Stands in the embedding contract."""

    def align(self, pixels: Pixels, face: DetectedFace, template: CropTemplate) -> Pixels:
        """The crop, of the template's size."""


@runtime_checkable
class Anonymizer(Protocol):
    """Takes detail away from a picture. Fails closed: it raises, or what it returns is anonymized."""

    @property
    def name(self) -> str: ...

    @property
    def allowed(self) -> str:
        """Which parameters are allowed, in plain words."""

    def validate(self, parameter: int) -> None:
        """Refuse a parameter.

        Raises:
            PrivFaceError: ``bad_privacy_parameter``, saying what is allowed.
        """

    def sigma(self, parameter: int) -> float:
        """The blur's standard deviation in pixels (of a gaussian with the same variance)."""

    def parameter_for(self, sigma: float) -> int:
        """The allowed parameter whose sigma is nearest."""

    def apply(self, pixels: Pixels, parameter: int) -> Pixels:
        """A new picture of the same shape. The parameter is validated first."""


@runtime_checkable
class NoisyAnonymizer(Anonymizer, Protocol):
    """One that adds noise, of which a frame's card says how much."""

    @property
    def noise(self) -> Noise: ...

    def with_noise(self, noise: Noise) -> Anonymizer:
        """The same with other noise."""


@runtime_checkable
class MosaicAnonymizer(Anonymizer, Protocol):
    """One whose pictures have edges of its own, which no camera draws."""

    def smooth(self, pixels: Pixels, parameter: int) -> Pixels:
        """A new picture of the same shape: one of ``apply``'s without these edges, as engines see faces best."""


@runtime_checkable
class FaceKeeper(Anonymizer, Protocol):
    """One that keeps face regions only: ``apply`` is ``find``, then ``keep``. On any thread."""

    def find(self, pixels: Pixels) -> Sequence[Box]:
        """The regions to keep, in pixels of this picture.

        Raises:
            PrivFaceError: ``weights_missing`` or ``weights_mismatch``: its detector's.
        """

    def keep(self, pixels: Pixels, parameter: int, regions: Sequence[Box]) -> Pixels:
        """As ``apply``, with these regions."""


@runtime_checkable
class Source(Protocol):
    """An async stream of frames. Closing the iterator releases the device or connection."""

    @property
    def name(self) -> str: ...

    def frames(self) -> AsyncGenerator[Frame, None]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """How a source stands with its device or connection; what its option ``on_state`` is told, on the event loop.

    ``reason``: why it was lost, in words without address, login or path. ``skipped``: frames so far that came and that
    nobody took before a newer one. ``reconnects``: how often it was connected again.
    """

    state: Literal["connecting", "connected", "lost"]
    reason: str = ""
    skipped: int = 0
    reconnects: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLength:
    """What a video's file says of its length, which may be wrong or missing; what a source's option ``on_length`` is
    told, on the thread that reads."""

    frames: int | None
    seconds: float | None


@runtime_checkable
class Sink(Protocol):
    """Takes events away. ``publish`` never blocks: a sink has its own bounded queue, which ``run`` empties."""

    @property
    def name(self) -> str: ...

    def publish(self, event: Event) -> None: ...

    async def run(self) -> None:
        """The sink's whole life; cancel it to end it."""


@runtime_checkable
class Forgets(Protocol):
    """Holds what names people until it is sent: a sink may be one."""

    def forget(self, person_ids: Collection[str]) -> int:
        """Drop what waits and is about people who were forgotten, by their ids. How many messages that was."""


class GalleryStore(Protocol):
    """Keeps people, faces and templates. Synchronous: called on one thread. What it raises leaves it whole.

    Each method raises ``storage_full`` or ``storage_failed`` where the disk does not follow.
    """

    @property
    def memory(self) -> VisitMemory:
        """What it remembers of visits, besides."""

    def close(self) -> None: ...

    def transaction(self) -> AbstractContextManager[object]:
        """What is done to the store and its memory inside the block holds whole, or not at all."""

    def people(self) -> Sequence[Person]:
        """All, with their counts of faces, whether they are ignored, and their consent; oldest first."""

    def add_person(self, person: Person, *, allow_duplicate: bool = True) -> bool:
        """False: somebody has that name, in a reader's eyes, and ``allow_duplicate`` is off."""

    def rename_person(self, person_id: str, name: str) -> bool:
        """False: there is no such person."""

    def remove_person(self, person_id: str) -> bool:
        """Remove the person, their faces and templates, and overwrite what they held."""

    def set_ignored(self, person_id: str, ignored: bool) -> bool:
        """False: there is no such person."""

    def set_consent(self, person_id: str, consent: Consent) -> bool:
        """Put a consent in the place of an older one. False: there is no such person."""

    def faces(self, person_id: str | None = None) -> Sequence[EnrolledFace]: ...

    def add_face(self, face: EnrolledFace, contract: Contract, templates: Sequence[Template]) -> None:
        """All or nothing. A face that is there already gets the templates of a further contract.

        Raises:
            PrivFaceError: ``person_not_found``; ``conflict``: the face has templates of this contract, or the person
                has another face from the same picture.
        """

    def remove_face(self, face_id: str) -> bool: ...

    def templates(self, contract: Contract) -> Sequence[Template]: ...

    def contracts(self) -> Mapping[str, int]:
        """The keys of all contracts that templates belong to, with how many."""

    def revision(self) -> int:
        """Changes whenever the gallery's contents have changed, by whatever process."""


class VisitMemory(Protocol):
    """Keeps, beside the gallery, what is remembered of visits. What is removed is overwritten, and so is what goes
    along with a person who is removed: their negative examples, and the visits that name them.

    The faces of what is given must be of its contract.

    Each method raises ``storage_full`` or ``storage_failed`` where the disk does not follow.
    """

    def keep_visit(self, visit: KeptVisit) -> bool:
        """Keep a visit, in the place of an older one of its id. False: the person or stranger it names is gone.

        Raises:
            PrivFaceError: ``engine_failed``: the faces are not of the contract.
        """

    def visit(self, visit_id: str) -> KeptVisit | None: ...

    def visits(self) -> Sequence[KeptVisit]:
        """All, oldest first."""

    def remove_visit(self, visit_id: str) -> bool:
        """False: there is no such visit."""

    def next_stranger_number(self) -> int:
        """A number that no stranger has had, from 1, and that none will be given again."""

    def last_stranger_number(self) -> int:
        """The highest number that was given to a stranger, or taken for one; 0: none was."""

    def put_stranger(self, stranger: Stranger, *, new: bool = False) -> bool:
        """Put a stranger in the place of an older one of the id, or with ``new`` there where there is none. False:
        there is none, and they are not new.

        Raises:
            PrivFaceError: ``conflict``: another one has the number; ``engine_failed``.
        """

    def strangers(self, contract: Contract | None = None) -> Sequence[Stranger]:
        """Those of a contract, or all; the lowest number first."""

    def remove_stranger(self, stranger_id: str, *, heir: str | None = None) -> bool:
        """Remove a stranger and their visits; ``heir``: the person whose those visits are from now on instead."""

    def add_negative(self, negative: NegativeExample) -> bool:
        """Add an example, in the place of an older one of its id. False: there is no such person.

        Raises:
            PrivFaceError: ``engine_failed``.
        """

    def negatives(self, contract: Contract | None = None) -> Sequence[NegativeExample]:
        """Those of a contract, or all; the oldest first."""

    def remove_negative(self, negative_id: str) -> bool: ...

    def remove_negatives(self, person_id: str) -> int:
        """Remove a person's. How many there were."""

    def remove_visits(self, person_id: str) -> int:
        """Remove the visits that name a person. How many there were."""

    def purge(self, older_than: datetime) -> int:
        """Remove the visits and strangers who were last seen before a time. How many there were."""

    def revision(self) -> int:
        """Changes whenever strangers or negative examples have been written, by whatever process."""
