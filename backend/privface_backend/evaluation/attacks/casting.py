"""Who is what: people in the attacker's gallery, people who are searched, people to learn from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Final

import numpy as np

from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.manifests import HouseholdSet, Role, pictures_below
from privface_backend.protocol import ErrorCode

_TRAINING: Final = 0.4
_IMPOSTORS: Final = 0.2
_LEARNED: Final = 2
"""How many pictures of a person are learned from."""
_SOUGHT: Final = 5
"""How many pictures of a person of the set are searched: more say little more of people."""

People = Mapping[str, Sequence[Path]]
"""Pictures by person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A picture and whom it shows."""

    path: Path = field(repr=False)
    identity: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who plays what against one set. Nobody is in two of ``training``, ``impostors`` and ``gallery``.

    ``own``, ``crowd``: probes of people in the gallery, those of the set and those of the crowd; ``impostors``: probes
    of people who are not in it. ``household``: where there is one, its pictures in their roles.
    """

    name: str
    gallery: tuple[Shot, ...] = field(repr=False)
    own: tuple[Shot, ...] = field(repr=False)
    crowd: tuple[Shot, ...] = field(repr=False)
    impostors: tuple[Shot, ...] = field(repr=False)
    training: tuple[Shot, ...] = field(repr=False)
    household: HouseholdSet | None = field(default=None, repr=False)

    @property
    def probes(self) -> tuple[Shot, ...]:
        return (*self.own, *self.crowd, *self.impostors)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    training: tuple[Shot, ...]
    impostors: tuple[Shot, ...]
    gallery: tuple[Shot, ...]
    mated: tuple[Shot, ...]


def read_crowd(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """The people of folders that hold a folder a person; folders of one name are one person's.

    Raises:
        PrivFaceError: ``not_found``; ``bad_request``: no picture in them.
    """
    people: dict[str, list[Path]] = defaultdict(list)
    for folder in folders:
        if not folder.is_dir():
            raise PrivFaceError(ErrorCode.NOT_FOUND, "There is no such folder.", allowed="--crowd DIR")
        for path in pictures_below(folder):
            parts = path.relative_to(folder).parts
            if len(parts) > 1:
                people[parts[0]].append(path)
    if folders and not people:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST, "The crowd has no pictures.", allowed="a folder with a folder of pictures a person"
        )
    return people


def cast(households: Sequence[HouseholdSet], crowd: People, *, limit: int, seed: int) -> list[Cast]:
    """A cast for each household, or one of the crowd alone.

    Who of a household is enrolled is in the gallery with those pictures, and searched with the household's probes; its
    strangers with several pictures are in it with their first, and searched with the others. The crowd, or without one
    the strangers, gives those to learn from, and impostors; beside a crowd, a stranger with one picture is an impostor,
    too. Of the crowd, at most ``limit`` people are searched with one picture each, ``2 * limit`` are learned from and
    ``3 * limit`` are in the gallery; of impostors there are at most ``limit``.

    Raises:
        PrivFaceError: ``bad_request``: nobody is left to learn from, or to search.
    """
    known = {picture.identity for household in households for picture in household.pictures}
    taken = {_digest(picture.path) for household in households for picture in household.pictures}
    others = {
        name: fresh
        for name, paths in crowd.items()
        if name not in known and (fresh := [path for path in paths if _digest(path) not in taken])
    }
    found = [_cast_household(household, others, limit, seed) for household in households]
    if not households:
        split = _split(others, limit, seed)
        found = [
            Cast(
                name="crowd",
                gallery=split.gallery,
                own=(),
                crowd=split.mated,
                impostors=split.impostors,
                training=split.training,
            )
        ]
    shared = _share_training(found)
    for one in shared:
        _check(one)
    return shared


def _cast_household(household: HouseholdSet, crowd: People, limit: int, seed: int) -> Cast:
    strangers: dict[str, list[Path]] = defaultdict(list)
    for picture in household.of(Role.STRANGER):
        strangers[picture.identity].append(picture.path)
    members = [_shot(picture.path, picture.identity) for picture in household.of(Role.ENROLL)]
    probes = _limit(_shot(picture.path, picture.identity) for picture in household.of(Role.PROBE))
    enrolled = {shot.identity for shot in members}
    if not crowd:
        split = _split(strangers, limit, seed)
        return Cast(
            name=household.name,
            gallery=(*members, *split.gallery),
            own=(*probes, *split.mated),
            crowd=(),
            impostors=split.impostors,
            training=split.training,
            household=household,
        )
    split = _split(crowd, limit, seed)
    several = {name: paths for name, paths in strangers.items() if len(paths) > 1 and name not in enrolled}
    single = [_shot(paths[0], name) for name, paths in strangers.items() if len(paths) == 1]
    return Cast(
        name=household.name,
        gallery=(*members, *(_shot(paths[0], name) for name, paths in several.items()), *split.gallery),
        own=(*probes, *(_shot(path, name) for name, paths in several.items() for path in paths[1:][:_SOUGHT])),
        crowd=split.mated,
        impostors=_take_turns(single, split.impostors)[:limit],
        training=split.training,
        household=household,
    )


def _split(people: People, limit: int, seed: int) -> _Split:
    """Those with the fewest pictures to learn from, then impostors; the rest in the gallery."""
    names = sorted(people)
    order = np.random.default_rng(seed).permutation(len(names))
    drawn = sorted((names[place] for place in order), key=lambda name: len(people[name]))
    first, second = round(_TRAINING * len(drawn)), round((_TRAINING + _IMPOSTORS) * len(drawn))
    training, impostors = drawn[:first][: 2 * limit], drawn[first:second][:limit]
    used = {*training, *impostors}
    gallery = [name for name in drawn if name not in used]
    several = [name for name in gallery if len(people[name]) > 1]
    chosen = [several[place] for place in np.random.default_rng(seed).permutation(len(several))[:limit]]
    gallery = [*chosen, *(name for name in gallery if name not in set(chosen))][: 3 * limit]
    return _Split(
        training=tuple(_shot(path, name) for name in training for path in people[name][:_LEARNED]),
        impostors=tuple(_shot(people[name][0], name) for name in impostors),
        gallery=tuple(_shot(people[name][0], name) for name in gallery),
        mated=tuple(_shot(people[name][1], name) for name in chosen),
    )


def _limit(shots: Iterable[Shot]) -> list[Shot]:
    counts: Counter[str] = Counter()
    kept = []
    for shot in shots:
        counts[shot.identity] += 1
        if counts[shot.identity] <= _SOUGHT:
            kept.append(shot)
    return kept


def _take_turns(first: Sequence[Shot], second: Sequence[Shot]) -> tuple[Shot, ...]:
    return tuple(shot for pair in zip_longest(first, second) for shot in pair if shot is not None)


def _check(found: Cast) -> None:
    missing = [
        what
        for what, shots in (
            ("somebody to learn from", found.training),
            ("somebody who is not in the gallery", found.impostors),
            ("two pictures of somebody", (*found.own, *found.crowd)),
        )
        if not shots
    ]
    if missing:
        raise PrivFaceError(
            ErrorCode.BAD_REQUEST,
            f"The set lacks {' and '.join(missing)}.",
            allowed="a manifest with strangers, or --crowd DIR with a folder of pictures a person, five people or more",
        )


def _share_training(casts: Iterable[Cast]) -> list[Cast]:
    """The same, all with the people to learn from that are common, so that what is learned holds for each."""
    found = list(casts)
    played = {shot.identity for one in found for shot in (*one.gallery, *one.probes)}
    training = {shot: None for one in found for shot in one.training if shot.identity not in played}
    return [replace(one, training=tuple(training)) for one in found]


def _shot(path: Path, identity: str) -> Shot:
    return Shot(path=path, identity=identity)


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        # It is refused, with the reason, when it is looked at.
        return str(path)
