"""The learned restoration as an attack: which crops it is trained on, and the templates of what it restores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from privface_backend.domain.faces import Vector
from privface_backend.domain.frames import Pixels
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.attacks.casting import Shot
from privface_backend.evaluation.attacks.fitting import Level
from privface_backend.evaluation.attacks.network import CropPair, RestorationNetwork, train_network
from privface_backend.evaluation.attacks.observing import Observer

_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A trained network, applied to the crops that the recognizer wants."""

    observer: Observer
    network: RestorationNetwork = field(repr=False)

    def represent(self, level: Level) -> dict[Shot, Vector | None]:
        """The templates of a level's restored faces."""
        found: dict[Shot, Vector | None] = dict.fromkeys(level.privacies)
        crops = list(self._crop(level))
        recognizer = self.observer.looker.process.engines.recognizer
        for start in range(0, len(crops), _BATCH):
            part = crops[start : start + _BATCH]
            restored = self.network.restore([crop for _, crop, _ in part], [relative for *_, relative in part])
            vectors = recognizer.represent(restored)
            found.update({shot: vector for (shot, *_), vector in zip(part, vectors, strict=True)})
        return found

    def _crop(self, level: Level) -> Iterator[tuple[Shot, Pixels, float]]:
        for shot, privacy in level.privacies.items():
            seen = level.prepared[shot]
            if privacy is None or seen is None or seen.face is None:
                continue
            try:
                frame = self.observer.frame(shot, privacy)
            except PrivFaceError as error:
                self.observer.refuse(shot.path, error)
                continue
            yield shot, self.observer.crop(frame, seen.face), level.relative


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """Trains a network for one method at all its strengths, for ``seconds``."""

    observer: Observer
    seconds: float
    seed: int

    def train(self, levels: Sequence[Level]) -> Learned | None:
        """None: no face was found to learn from.

        Raises:
            PrivFaceError: ``engine_missing``: JAX isn't installed.
        """
        pairs = [pair for level in levels for pair in self._pair(level)]
        if not pairs:
            return None
        network = train_network(pairs, seconds=self.seconds, seed=self.seed)
        return Learned(observer=self.observer, network=network)

    def _pair(self, level: Level) -> Iterator[CropPair]:
        """Both crops are cut where the face is found in the anonymized frame."""
        for shot, privacy in level.privacies.items():
            seen = level.prepared[shot]
            if privacy is None or seen is None or seen.face is None:
                continue
            try:
                frames = (self.observer.frame(shot, privacy), self.observer.clear_frame(shot))
            except PrivFaceError as error:
                self.observer.refuse(shot.path, error)
                continue
            anonymized, clear = (self.observer.crop(frame, seen.face) for frame in frames)
            yield CropPair(anonymized=anonymized, clear=clear, relative=level.relative)
