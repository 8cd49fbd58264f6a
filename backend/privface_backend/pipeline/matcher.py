"""Comparing probes with the templates of one contract, and which camera's probes are of which."""

from __future__ import annotations

from typing import Final

from privface_backend.domain.calibration import ScoreModel
from privface_backend.domain.cameras import NONE_SEALED, SealedCameras
from privface_backend.domain.decision import DecisionRules
from privface_backend.domain.matching import Contract
from privface_backend.domain.ranking import Ranking
from privface_backend.domain.score_models import score_model
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.index import NO_CONTRACT, GalleryIndex, GallerySnapshot
from privface_backend.gallery.indexes import GalleryIndexes
from privface_backend.pipeline.identification import Judgement, judge
from privface_backend.pipeline.process import Look
from privface_backend.protocol import EngineNames, ErrorCode

_USUAL_THRESHOLD: Final = 0.4


class Matcher:
    """Compares probes with the templates of ``index``, as their scores are distributed. ``sealed``: the probes are
    user sides'; else those of the backend's own engines, which must be made first."""

    def __init__(self, index: GalleryIndex, rules: DecisionRules, *, sealed: bool = False) -> None:
        self.index: Final = index
        self.rules: Final = rules
        self.sealed: Final = sealed
        self._model: ScoreModel | None = None
        self._ranking: tuple[GallerySnapshot, Ranking] | None = None

    def use(self, contract: Contract, verification_threshold: float) -> None:
        """Compare embeddings of ``contract`` from now on; the index follows by itself."""
        self._model = score_model(contract, verification_threshold)
        self._ranking = None

    @property
    def ready(self) -> bool:
        """Whether something can be compared: what user sides send always, be it with nothing."""
        return self.sealed or self._model is not None

    @property
    def contract(self) -> str:
        """The contract's key; empty: there is none yet."""
        return "" if self.index.contract is None else self.index.contract.key

    @property
    def model(self) -> ScoreModel:
        """How the scores are distributed.

        Raises:
            PrivFaceError: ``weights_missing``: the engines could not be made yet.
        """
        if self._model is None:
            if not self.sealed:
                raise engines_not_ready()
            # Nobody has sent anything yet, so that nothing is compared.
            return score_model(NO_CONTRACT, _USUAL_THRESHOLD)
        return self._model

    def ranking(self) -> Ranking:
        """The comparison with everybody who is enrolled now. On any thread.

        Raises:
            PrivFaceError: ``weights_missing``: the engines could not be made yet.
        """
        snapshot, made = self.index.snapshot, self._ranking
        if made is None or made[0] is not snapshot:
            ranking = Ranking(snapshot.templates, self.model, self.rules, snapshot.negatives, snapshot.ignored)
            made = self._ranking = (snapshot, ranking)
        return made[1]

    def judge(self, look: Look, engine: EngineNames) -> Judgement:
        """Decide about each face of a look. On any thread.

        Raises:
            PrivFaceError: as ``ranking``.
        """
        return judge(look, self.index.snapshot, self.ranking(), rules=self.rules, engine=engine)


class Matchers:
    """Who compares what. ``sealed``: what user sides send; None: nothing is taken of them. ``main``: what the backend's
    own engines see; in a backend that is sealed as a whole it is the same one as ``sealed``. ``cameras``: the sealed
    ones."""

    def __init__(self, indexes: GalleryIndexes, rules: DecisionRules, cameras: SealedCameras = NONE_SEALED) -> None:
        self.cameras: Final = cameras
        self.main: Final = Matcher(indexes.main, rules, sealed=cameras.everything)
        self.sealed: Final = _find_sealed(self.main, indexes, rules)

    @property
    def all(self) -> tuple[Matcher, ...]:
        """Each once."""
        return tuple(dict.fromkeys(one for one in (self.main, self.sealed) if one is not None))

    def of(self, camera: str) -> Matcher:
        """What compares the faces before a camera."""
        return self.sealed if self.sealed is not None and camera in self.cameras else self.main

    def require_pictures(self, camera: str | None = None) -> None:
        """Refuse a picture before anything of it is read. ``camera``: whose it is said to be; None: nobody's.

        Raises:
            PrivFaceError: ``sealed``.
        """
        allowed = "sealed frames, as `privface bridge` with bridge.sealed and `privface seal` send them"
        if self.cameras.everything:
            raise PrivFaceError(ErrorCode.SEALED, "This backend is sealed: it takes no pictures.", allowed=allowed)
        if camera is not None and camera in self.cameras:
            raise PrivFaceError(ErrorCode.SEALED, "This camera is sealed: no picture of it is taken.", allowed=allowed)

    def require_sealed(self, camera: str | None = None) -> Matcher:
        """What compares that which a user side sealed. ``camera``: whose it is said to be; None: nobody's.

        Raises:
            PrivFaceError: ``contract_mismatch``: nothing sealed is taken, or not of that camera.
        """
        if self.sealed is None:
            raise PrivFaceError(
                ErrorCode.CONTRACT_MISMATCH,
                "This backend looks at pictures itself, and takes nothing that is sealed.",
                allowed="a backend with privacy.sealed: true, or with cameras that have sealed: true",
            )
        if camera is not None and camera not in self.cameras:
            raise PrivFaceError(
                ErrorCode.CONTRACT_MISMATCH,
                "This camera is not sealed: nothing but pictures is taken of it.",
                allowed="a camera that has sealed: true in the backend's cameras",
            )
        return self.sealed


def _find_sealed(main: Matcher, indexes: GalleryIndexes, rules: DecisionRules) -> Matcher | None:
    if main.sealed:
        return main
    return None if indexes.sealed is None else Matcher(indexes.sealed, rules, sealed=True)


def engines_not_ready() -> PrivFaceError:
    """The error of engines that are not made yet."""
    return PrivFaceError(ErrorCode.WEIGHTS_MISSING, "The engines are not ready. `privface doctor` says why.")
