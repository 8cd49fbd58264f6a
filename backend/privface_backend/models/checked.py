"""Weights that lie in the store's folder, for where nothing is fetched: the bridge. It needs no package besides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Final

from privface_backend.errors import PrivFaceError
from privface_backend.models.table import TABLE
from privface_backend.models.weights import WeightsFile
from privface_backend.protocol import ErrorCode

FOLDER: Final = PurePosixPath(".deepface/weights")
"""Below the models' directory, where DeepFace looks."""


class CheckedWeights:
    """Implements ``plugins.ports.Weights`` for files whose checksum is published, on any thread. Each is read once."""

    def __init__(self, root: Path, table: Mapping[str, WeightsFile] = TABLE) -> None:
        self._root: Final = root
        self._table: Final = table
        self._checked: Final[dict[str, Path]] = {}
        self._turn: Final = Lock()

    @property
    def deepface_home(self) -> Path:
        return self._root

    def path(self, name: str) -> Path:
        """The verified file.

        Raises:
            PrivFaceError: ``weights_missing`` or ``weights_mismatch``, saying which file belongs where.
        """
        with self._turn:
            if name not in self._checked:
                self._checked[name] = self._check(self._table[name])
            return self._checked[name]

    def digest(self, name: str) -> str:
        """The sha256 of that file."""
        self.path(name)
        return str(self._table[name].sha256)

    def _check(self, entry: WeightsFile) -> Path:
        path = self._root / FOLDER / entry.file
        how = (
            f"The file {FOLDER / entry.file} in models_dir must have the sha256 {entry.sha256}. Where `privface serve` "
            f"is installed, `privface models fetch {entry.name}` brings it: copy it from there."
        )
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            raise PrivFaceError(ErrorCode.WEIGHTS_MISSING, f"The weights {entry.name} are missing. {how}") from None
        if found != entry.sha256:
            raise PrivFaceError(
                ErrorCode.WEIGHTS_MISMATCH, f"The weights {entry.name} are not what they should be. {how}"
            )
        return path
