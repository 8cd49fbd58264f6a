"""The database: one SQLite file, checked before it is used, changed in transactions that hold or leave no trace."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

from privface_backend.errors import PrivFaceError
from privface_backend.protection.keys import KeyStore
from privface_backend.protection.master import MasterKey
from privface_backend.protection.protection import Protection
from privface_backend.protection.sealing import SealBrokenError
from privface_backend.protocol import ErrorCode
from privface_backend.storage.failures import damaged, translated
from privface_backend.storage.file import BUSY_SECONDS, KEY_ID, connect, create, migrate, opening, put_meta
from privface_backend.storage.integrity import inspect_file, is_new
from privface_backend.storage.schema import MIGRATIONS, SqlValue
from privface_backend.storage.sealing import Seals, reseal

P = ParamSpec("P")
T = TypeVar("T")

_LOGGER: Final = logging.getLogger(__name__)
KEY_RETIRED: Final = "key_retired"
"""The id of the master key that a rotation is about to remove."""


class Database:
    """One file, opened by as many processes as there are; by one thread at a time in each.

    Raises:
        PrivFaceError: ``gallery_corrupt``, ``gallery_too_new`` or ``key_missing``, the file untouched;
            ``storage_full``, ``storage_failed``.
    """

    def __init__(self, path: Path, keys: KeyStore, *, migrations: Sequence[str] = MIGRATIONS) -> None:
        self.path: Final = path
        self._lock = threading.RLock()
        self._scrub_due = False
        self._scrub_wanted = False
        with opening(path), translated(path):
            if is_new(path):
                create(path, migrations, keys.current())
            single_values = inspect_file(path, migrations)
            key = _find_key(path, keys, single_values)
            self._connection = connect(path)
            self._seals = Seals(path, Protection(key, single_values["instance_id"]))
            try:
                migrate(self._connection, migrations)
                if KEY_ID not in single_values:
                    self._seal_all()
                if KEY_RETIRED in single_values:
                    self.finish_rotation(keys)
            except BaseException:
                self._connection.close()
                raise

    @property
    def seals(self) -> Seals:
        """What seals this database's values, and opens them."""
        return self._seals

    def close(self) -> None:
        """Close the file; twice is no error."""
        with self._lock, translated(self.path):
            self.scrub_if_due()
            self._connection.close()
            self._scrub_due = False

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing of it. ``durable``: when it ends, a power cut can't take it back.

        One inside another ends with the outer one, which says how durable both are, and which what was to be
        scrubbed waits for.

        Raises:
            PrivFaceError: ``storage_full``, ``storage_failed``; ``conflict``, a constraint of the tables.
        """
        with self._lock, translated(self.path):
            if self._connection.in_transaction:
                with self._savepoint():
                    yield self._connection
                return
            self._scrub_wanted = False
            with self._synchronous(durable), self._outermost():
                yield self._connection
            if self._scrub_wanted:
                self.scrub()

    @contextlib.contextmanager
    def _outermost(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._require_key()
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself where the disk was full.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _savepoint(self) -> Iterator[None]:
        self._connection.execute("SAVEPOINT inner_one")
        try:
            yield
            self._connection.execute("RELEASE inner_one")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO inner_one")
                self._connection.execute("RELEASE inner_one")
            raise

    @contextlib.contextmanager
    def _synchronous(self, durable: bool) -> Iterator[None]:
        if not durable:
            yield
            return
        self._connection.execute("PRAGMA synchronous=FULL")
        try:
            yield
        finally:
            self._connection.execute("PRAGMA synchronous=NORMAL")

    def rows(self, query: str, values: Sequence[SqlValue] | Mapping[str, SqlValue] = ()) -> list[tuple[Any, ...]]:
        """What a query answers."""
        with self._lock, translated(self.path):
            return self._connection.execute(query, values).fetchall()

    def scrub(self, *, patiently: bool = True) -> bool:
        """Write the file anew without what was deleted, and empty the log. False: put off, since others use the file,
        or to the end of the transaction that this is called in. ``patiently`` off: others are not waited for.

        Overwriting deleted rows is not enough: copies of rows stay behind where SQLite moved them between pages.
        """
        with self._lock, translated(self.path):
            if self._connection.in_transaction:
                self._scrub_wanted = True
                return False
            with self._patience(0 if not patiently else BUSY_SECONDS):
                try:
                    self._connection.execute("VACUUM")
                    busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                except sqlite3.OperationalError as error:
                    _LOGGER.debug("The database could not be scrubbed: %s", getattr(error, "sqlite_errorname", "?"))
                    busy = 1
            if busy and not self._scrub_due:
                _LOGGER.warning("What was deleted is not overwritten on the disk yet: the database is in use or full")
            self._scrub_due = bool(busy)
            return not busy

    @contextlib.contextmanager
    def _patience(self, seconds: float) -> Iterator[None]:
        self._connection.execute(f"PRAGMA busy_timeout={int(seconds * 1000)}")
        try:
            yield
        finally:
            self._connection.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")

    def scrub_if_due(self) -> bool:
        """Scrub again where it had to be put off, without waiting for others. False: put off once more."""
        with self._lock, translated(self.path):
            if not self._scrub_due:
                return True
            return self.scrub(patiently=False)

    def get_meta(self, key: str) -> str | None:
        """A value of the table of single values."""
        found = self.rows("SELECT value FROM meta WHERE key = ?", (key,))
        if not found:
            return None
        value = found[0][0]
        return self._seals.open(value, "meta", "value", key) if isinstance(value, bytes) else str(value)

    def set_meta(self, key: str, value: str, *, secret: bool = False) -> None:
        """Put a single value; sealed where it is ``secret``."""
        stored = self._seals.seal(value, "meta", "value", key) if secret else value
        with self.transaction() as connection:
            put_meta(connection, key, stored)

    def rotate_key(self, keys: KeyStore, *, keep_old: bool = False) -> bool:
        """Seal and project everything with a new key, all of it or nothing. False: the old key wasn't removed, since
        ``keep_old`` says so, what it opens isn't overwritten yet, or its owner has to.

        Killed at any point, the database opens with one of the two keys, which are both there.

        Raises:
            PrivFaceError: ``key_missing``: there is no other key, and none can be made; ``gallery_corrupt``;
                ``storage_full``, ``storage_failed``.
        """
        with self._lock:
            old = self._seals.protection
            new = Protection(keys.successor(old.key_id), self.instance_id())
            with self.transaction(durable=True) as connection, _unbroken(self.path):
                reseal(connection, old, new)
                put_meta(connection, KEY_ID, new.key_id)
                if not keep_old:
                    put_meta(connection, KEY_RETIRED, old.key_id)
            self._seals = Seals(self.path, new)
            return self.finish_rotation(keys)

    def finish_rotation(self, keys: KeyStore) -> bool:
        """Remove the key that a rotation has left, once nothing that it opens is on the disk. False: not yet."""
        with self._lock:
            retired = self.get_meta(KEY_RETIRED)
            if retired is None or not self.scrub() or not keys.retire(retired):
                return False
            with self.transaction(durable=True) as connection:
                connection.execute("DELETE FROM meta WHERE key = ?", (KEY_RETIRED,))
            return True

    def _seal_all(self) -> None:
        """Seal what an older version has left as it is."""
        with self._outermost(), _unbroken(self.path):
            reseal(self._connection, None, self._seals.protection)
            put_meta(self._connection, KEY_ID, self._seals.protection.key_id)
        self.scrub()

    def _require_key(self) -> None:
        """What another process sealed anew must not be mixed with what this one seals."""
        found = self._connection.execute("SELECT value FROM meta WHERE key = ?", (KEY_ID,)).fetchone()
        if found is not None and found[0] != self._seals.protection.key_id:
            raise PrivFaceError(
                ErrorCode.KEY_MISSING,
                f"Another process has changed the key of the database {self.path}. Start PrivFace again.",
            )

    def instance_id(self) -> str:
        """The UUID that this database was given when it was made."""
        return self.get_meta("instance_id") or ""


class StorageThread:
    """The one thread that a database is used on, so that the event loop never waits for a disk.

    Runs calls one after the other. An async context manager: at its end what was called finishes first.
    """

    def __init__(self) -> None:
        self._executor: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="privface-storage")
        self._closed = False

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` on the thread. Cancelled while it runs, it still runs to its end.

        Raises:
            PrivFaceError: ``overloaded``: the thread is closed; or what the function raises.
        """
        if self._closed:
            raise PrivFaceError(ErrorCode.OVERLOADED, "PrivFace is stopping.")
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(function, *args, **kwargs))

    async def aclose(self) -> None:
        """Finish what was called, then end the thread."""
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _find_key(path: Path, keys: KeyStore, single_values: Mapping[str, str]) -> MasterKey:
    """The key that a database was sealed with; of one that isn't sealed yet, the one that it will be sealed with.

    Raises:
        PrivFaceError: ``key_missing``.
    """
    key_id = single_values.get(KEY_ID)
    if key_id is None:
        return keys.current()
    key = keys.find(key_id)
    if key is None:
        raise PrivFaceError(
            ErrorCode.KEY_MISSING,
            f"The database {path} is sealed with the master key {key_id}, which is not in {keys.place}. "
            "Nothing was written to it.",
            allowed="that key, from a backup of it, where the settings protection.* say; without it, the data is lost: "
            f"move {path.name} and the files beside it that start with {path.name} away to start empty",
            details={"file": str(path), "key": key_id},
        )
    return key


@contextlib.contextmanager
def _unbroken(path: Path) -> Iterator[None]:
    """Say what is wrong where a value can't be opened."""
    try:
        yield
    except SealBrokenError:
        raise damaged(path, "a sealed value was changed from outside") from None
