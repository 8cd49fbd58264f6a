"""Where the master key is, as it is set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import platformdirs

from privface_backend.errors import PrivFaceError
from privface_backend.protection.keys import KeyFile, KeyFolder, KeyStore, read_given
from privface_backend.protection.master import read_keys
from privface_backend.protocol import ErrorCode

CREDENTIAL: Final = "privface-key"
"""The name of systemd's credential."""
SECRET: Final = Path("/run/secrets/privface_key")
"""Where a Docker secret called ``privface_key`` is mounted."""
_CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionSettings:
    """Where the master key is. ``keys``: a folder with a key a database; ``key_file``: a file instead; ``key``: the key
    itself instead; ``handover``: none of these, another program hands it over at each start."""

    keys: Path | None = None
    key_file: Path | None = None
    key: str | None = field(default=None, repr=False)
    handover: bool = False

    @property
    def folder(self) -> Path:
        return (self.keys or default_folder()).absolute()

    def problems(self, data_dir: Path) -> list[tuple[str, str]]:
        """What is wrong: keys, and why."""
        found = []
        if self.key is not None and self.key_file is not None:
            found.append(("key", "with key_file: expected one of the two"))
        if self.handover and (self.key is not None or self.key_file is not None or self.keys is not None):
            found.append(("handover", "expected no other place of the key beside it"))
        if self.key is not None:
            try:
                if not read_keys(self.key):
                    found.append(("key", "expected a key as `privface key new` prints it"))
            except ValueError as error:
                found.append(("key", f"expected a key as `privface key new` prints it: {error}"))
        for name, path in (("keys", self.folder), ("key_file", self.key_file)):
            if path is not None and path.absolute().is_relative_to(data_dir):
                found.append((name, "expected a place outside of data_dir, so that the disk of one isn't enough"))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSettings:
    """Where a user side has its own key, which never leaves it. ``key_file``: the file, made where it isn't there;
    ``key``: the key itself instead."""

    key_file: Path | None = None
    key: str | None = field(default=None, repr=False)

    def problems(self, data_dir: Path) -> list[tuple[str, str]]:
        """What is wrong: keys, and why."""
        found = []
        if self.key is not None and self.key_file is not None:
            found.append(("key", "with key_file: expected one of the two"))
        if self.key is not None and not _holds_keys(self.key):
            found.append(("key", "expected a key as `privface key new` prints it"))
        if self.key_file is not None and self.key_file.absolute().is_relative_to(data_dir):
            found.append(("key_file", "expected a place outside of data_dir, so that the disk of one isn't enough"))
        return found


def _holds_keys(text: str) -> bool:
    try:
        return bool(read_keys(text))
    except ValueError:
        return False


def default_folder() -> Path:
    """Where keys are kept if nothing is set: among the user's configuration."""
    return Path(platformdirs.user_config_dir("privface", appauthor=False)) / "keys"


def open_user_key(settings: SealedSettings) -> KeyStore:
    """The user side's key: as it is set, or of the file ``sealed.key`` among the user's configuration.

    Raises:
        PrivFaceError: ``key_missing``: what is set holds no key.
    """
    if settings.key is not None:
        return read_given(settings.key, "sealed.key")
    return KeyFile((settings.key_file or default_folder().parent / "sealed.key").absolute())


def open_keys(settings: ProtectionSettings, environment: Mapping[str, str] | None = None) -> KeyStore:
    """The keys, from the first of these that there is: what is set, systemd's credential, a Docker secret, the folder.

    Raises:
        PrivFaceError: ``key_missing``: what there is can't be read, or holds no key.
    """
    if settings.handover:
        raise PrivFaceError(
            ErrorCode.KEY_MISSING,
            "The master key is handed over to the running service, and isn't here.",
            allowed="the key for this command: PRIVFACE_PROTECTION__HANDOVER=false PRIVFACE_PROTECTION__KEY=…",
        )
    if settings.key is not None:
        return read_given(settings.key, "protection.key")
    if settings.key_file is not None:
        return KeyFile(settings.key_file.absolute())
    if settings.keys is None:
        credentials = (os.environ if environment is None else environment).get(_CREDENTIALS)
        mounted = [(Path(credentials) / CREDENTIAL, f"the systemd credential {CREDENTIAL}")] if credentials else []
        for path, origin in (*mounted, (SECRET, "the Docker secret privface_key")):
            if path.is_file():
                return read_given(_read_mounted(path, origin), origin)
    return KeyFolder(settings.folder)


def _read_mounted(path: Path, origin: str) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise PrivFaceError(ErrorCode.KEY_MISSING, f"{origin} can't be read: {error.strerror}.") from None
