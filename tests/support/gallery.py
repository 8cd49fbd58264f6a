"""A made-up household's templates."""

from __future__ import annotations

import contextlib
import itertools
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from privface_backend.domain.faces import Vector, normalized
from privface_backend.domain.matching import Contract, Template
from privface_backend.domain.memory import KeptVisit, NegativeExample, RememberedFace, Stranger
from privface_backend.domain.people import EnrolledFace, Person
from privface_backend.domain.privacy import CLEAR, LADDER, PrivacyLevel
from privface_backend.engines.galleries.sqlite import SqliteGalleryStore
from privface_backend.gallery.enrollment import RepresentedFace
from privface_backend.gallery.index import GalleryIndex
from privface_backend.gallery.indexes import GalleryIndexes
from privface_backend.gallery.memory import MemoryService
from privface_backend.gallery.service import EnrollmentRules, GalleryService
from privface_backend.plugins.ports import GalleryStore
from privface_backend.storage.database import Database, StorageThread
from privface_backend.storage.erasures import Erasures
from privface_backend.storage.events import EventLog
from support.keys import KEYS

START = datetime(2026, 11, 23, 8, 15, 30, 125_000, tzinfo=UTC)
CONTRACT = Contract(recognizer="synthetic", weights_digest="0" * 64, dimension=128, alignment="five-point")
OTHER_CONTRACT = Contract(recognizer="other", weights_digest="1" * 64, dimension=32, alignment="five-point")
LEVELS = (CLEAR, *(PrivacyLevel("gaussian", strength) for strength in LADDER))


def make_vector(seed: int, dimension: int = CONTRACT.dimension) -> Vector:
    return normalized(np.random.default_rng(seed).standard_normal(dimension))


def make_person(name: str = "Ada", *, after: float = 0.0) -> Person:
    return Person(id=str(uuid.uuid4()), name=name, created_at=START + timedelta(seconds=after))


def make_face(person: Person, *, picture: str = "", after: float = 0.0) -> EnrolledFace:
    return EnrolledFace(
        id=str(uuid.uuid4()),
        person_id=person.id,
        created_at=START + timedelta(seconds=after),
        source=picture,
        picture_digest=sha256(picture.encode()).hexdigest() if picture else "",
    )


def make_templates(face: EnrolledFace, seed: int = 1, contract: Contract = CONTRACT) -> tuple[Template, ...]:
    return tuple(
        Template(
            face_id=face.id,
            person_id=face.person_id,
            level=level,
            vector=make_vector(1000 * seed + step, contract.dimension),
        )
        for step, level in enumerate(LEVELS)
    )


def make_represented(seed: int = 1, contract: Contract = CONTRACT) -> RepresentedFace:
    return RepresentedFace(
        contract=contract,
        vectors=tuple(
            (level, make_vector(1000 * seed + step, contract.dimension)) for step, level in enumerate(LEVELS)
        ),
    )


def make_remembered(seed: int = 1, contract: Contract = CONTRACT, levels: int = 2) -> tuple[RememberedFace, ...]:
    """A visit's faces at the first few levels."""
    return tuple(
        RememberedFace(level=level, weight=1.0 + step, vector=make_vector(1000 * seed + step, contract.dimension))
        for step, level in enumerate(LEVELS[:levels])
    )


def make_visit(seed: int = 1, **changes: Any) -> KeptVisit:
    visit = KeptVisit(
        id=f"visit-{seed}", camera="door", last_seen=START, contract=CONTRACT.key, faces=make_remembered(seed)
    )
    return replace(visit, **changes)


def make_stranger(number: int = 1, **changes: Any) -> Stranger:
    stranger = Stranger(
        id=str(uuid.uuid4()),
        number=number,
        contract=CONTRACT.key,
        first_seen=START,
        last_seen=START,
        camera="door",
        faces=make_remembered(number),
    )
    return replace(stranger, **changes)


def make_negative(person: Person, seed: int = 1, **changes: Any) -> NegativeExample:
    negative = NegativeExample(
        id=str(uuid.uuid4()),
        person_id=person.id,
        contract=CONTRACT.key,
        created_at=START,
        faces=make_remembered(seed),
    )
    return replace(negative, **changes)


def plain(kept: KeptVisit | Stranger | NegativeExample) -> tuple[Any, ...]:
    """What can be compared: all fields, the vectors as bytes."""
    fields = {name: getattr(kept, name) for name in kept.__slots__ if name != "faces"}
    return fields, [(face.level, face.weight, face.vector.tobytes()) for face in kept.faces]


def fill(store: GalleryStore, people: int, faces: int) -> None:
    for number in range(people):
        person = make_person(f"Person {number}", after=number)
        store.add_person(person)
        for index in range(faces):
            face = make_face(person, picture=f"{number}/{index}.jpg", after=number + index / 1000)
            store.add_face(face, CONTRACT, make_templates(face, number * faces + index))


def ticking_clock() -> Callable[[], datetime]:
    ticks = itertools.count()
    return lambda: START + timedelta(seconds=next(ticks))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGallery:
    database: Database
    store: GalleryStore
    storage: StorageThread
    events: EventLog
    index: GalleryIndex
    service: GalleryService
    memory: MemoryService


@contextlib.asynccontextmanager
async def open_gallery(
    path: Path,
    contract: Contract | None = CONTRACT,
    keeping: timedelta = timedelta(hours=24),
    rules: EnrollmentRules | None = None,
) -> AsyncIterator[OpenGallery]:
    async with StorageThread() as storage:
        database = await storage.call(Database, path, KEYS)
        try:
            store, events, index = SqliteGalleryStore(database), EventLog(database), GalleryIndex()
            clock = ticking_clock()
            service = GalleryService(
                store=store,
                storage=storage,
                indexes=GalleryIndexes(index),
                clock=clock,
                events=events,
                erasures=Erasures(database),
                rules=rules,
            )
            memory = MemoryService(
                gallery=service,
                store=store,
                storage=storage,
                events=events,
                clock=clock,
                keeping=keeping,
            )
            if contract is not None:
                await service.use_contract(contract)
            yield OpenGallery(
                database=database,
                store=store,
                storage=storage,
                events=events,
                index=index,
                service=service,
                memory=memory,
            )
        finally:
            await storage.call(database.close)
