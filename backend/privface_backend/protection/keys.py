"""Where master keys are: in a folder, in a file, or given. Never in the data directory."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from privface_backend.errors import PrivFaceError
from privface_backend.protection.master import MasterKey, read_keys
from privface_backend.protocol import ErrorCode

_REMARK: Final = "# A master key of PrivFace. With it the data directory can be read; without it the data is lost.\n"
_ENDING: Final = ".key"


class KeyStore(Protocol):
    """The master keys at hand. Called on any thread."""

    @property
    def place(self) -> str:
        """Where they are, in words for a user."""

    def find(self, key_id: str) -> MasterKey | None:
        """The key of that id.

        Raises:
            PrivFaceError: ``key_missing``: what is there can't be read as keys.
        """

    def current(self) -> MasterKey:
        """The key that a new database gets; one is made where that is possible and none is there.

        Raises:
            PrivFaceError: ``key_missing``, ``storage_failed``.
        """

    def successor(self, key_id: str) -> MasterKey:
        """The key that follows the one of that id: made anew, or another one that is there.

        Raises:
            PrivFaceError: ``key_missing``: there is none, and none can be made here; ``storage_failed``.
        """

    def retire(self, key_id: str) -> bool:
        """Remove a key that nothing needs any more. False: its owner has to."""


class KeyFolder:
    """A folder with a file a key, each named after the key's id: several databases may have theirs there."""

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder

    @property
    def place(self) -> str:
        return f"the folder {self._folder}"

    def find(self, key_id: str) -> MasterKey | None:
        found = _read(self._path(key_id))
        return next((key for key in found if key.id == key_id), None)

    def current(self) -> MasterKey:
        return self._make()

    def successor(self, key_id: str) -> MasterKey:
        del key_id
        return self._make()

    def retire(self, key_id: str) -> bool:
        path = self._path(key_id)
        _overwrite(path)
        return not path.exists()

    def _make(self) -> MasterKey:
        key = MasterKey.generate()
        with _translated(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(self._path(key.id), _REMARK + key.to_text() + "\n")
        return key

    def _path(self, key_id: str) -> Path:
        return self._folder / f"{key_id}{_ENDING}"


class KeyFile:
    """One file, which may hold several keys, the newest last. It is made where it isn't there."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path

    @property
    def place(self) -> str:
        return f"the file {self._path}"

    def find(self, key_id: str) -> MasterKey | None:
        return next((key for key in _read(self._path) if key.id == key_id), None)

    def current(self) -> MasterKey:
        found = _read(self._path)
        return found[-1] if found else self._add(found)

    def successor(self, key_id: str) -> MasterKey:
        del key_id
        # Others stay: a backup's, or another database's.
        return self._add(_read(self._path))

    def retire(self, key_id: str) -> bool:
        try:
            self._put([key for key in _read(self._path) if key.id != key_id])
        except PrivFaceError:
            return False
        return True

    def _add(self, others: Sequence[MasterKey]) -> MasterKey:
        key = MasterKey.generate()
        self._put([*others, key])
        return key

    def _put(self, keys: Sequence[MasterKey]) -> None:
        with _translated(self._path.parent):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(self._path, _REMARK + "".join(key.to_text() + "\n" for key in keys))


class GivenKeys:
    """Keys that come from elsewhere and can't be changed here. ``origin``: where from, in words; the newest is last."""

    def __init__(self, keys: Sequence[MasterKey], origin: str) -> None:
        self._keys: Final = tuple(keys)
        self._origin: Final = origin

    @property
    def place(self) -> str:
        return self._origin

    def find(self, key_id: str) -> MasterKey | None:
        return next((key for key in self._keys if key.id == key_id), None)

    def current(self) -> MasterKey:
        if not self._keys:
            raise PrivFaceError(ErrorCode.KEY_MISSING, f"There is no master key in {self._origin}.", allowed=_HOW)
        return self._keys[-1]

    def successor(self, key_id: str) -> MasterKey:
        others = [key for key in self._keys if key.id != key_id]
        if not others:
            raise PrivFaceError(
                ErrorCode.KEY_MISSING,
                f"{self._origin} can't be changed from here, and has no second key to go on with.",
                allowed="a second key in it, of `privface key new`, beside the first; the first can go afterwards",
            )
        return others[-1]

    def retire(self, key_id: str) -> bool:
        return key_id not in {key.id for key in self._keys}


_HOW: Final = "a key as `privface key new` prints it"


def read_given(text: str, origin: str) -> GivenKeys:
    """The keys of a text from elsewhere.

    Raises:
        PrivFaceError: ``key_missing``: it holds no keys.
    """
    try:
        keys = read_keys(text)
    except ValueError as error:
        raise PrivFaceError(ErrorCode.KEY_MISSING, f"{origin} holds no master key: {error}.", allowed=_HOW) from None
    return GivenKeys(keys, origin)


def _read(path: Path) -> tuple[MasterKey, ...]:
    try:
        return read_keys(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return ()
    except OSError as error:
        message = f"The master key in {path} can't be read: {error.strerror}."
        raise PrivFaceError(ErrorCode.KEY_MISSING, message) from None
    except ValueError as error:
        what = "it is no text" if isinstance(error, UnicodeError) else str(error)
        message = f"The file {path} holds no master key: {what}."
        raise PrivFaceError(ErrorCode.KEY_MISSING, message, allowed=_HOW) from None


def _write(path: Path, text: str) -> None:
    """Put a file in its place, whole, for its owner alone."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink(missing_ok=True)


def _overwrite(path: Path) -> None:
    """Remove a key's file, its bytes first."""
    with contextlib.suppress(OSError):
        with path.open("r+b") as file:
            file.write(b"\0" * path.stat().st_size)
            file.flush()
            os.fsync(file.fileno())
        path.unlink()


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PrivFaceError(
            ErrorCode.STORAGE_FAILED,
            f"No master key can be written to {folder}: {error.strerror}.",
            allowed="protection.keys: a folder that can be written, or protection.key_file or protection.key",
        ) from None
