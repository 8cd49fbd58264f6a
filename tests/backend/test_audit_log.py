"""The audit log's files: rotated, dropped by age, cut off, shared by processes, and on a disk that is full."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from privface_backend.audit.entries import Act
from privface_backend.audit.keys import remember_key
from privface_backend.audit.lines import read_line
from privface_backend.audit.log import Rotation
from privface_backend.audit.reading import Wanted, read_page, verify_log
from privface_backend.errors import PrivFaceError
from privface_backend.protection.keys import KeyFolder
from privface_backend.protocol import ErrorCode
from privface_backend.storage.database import Database
from support.audit_child import open_log
from support.auditing import ADA, NOON, Book, Memory, entry, filled, only, told
from support.keys import KEYS

TESTS = Path(__file__).parent.parent
SMALL = Rotation(bytes=2048)


def start_child(task: str, path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "support.audit_child", task, str(path), *arguments],
        cwd=TESTS,
        stdout=subprocess.PIPE,
        text=True,
    )


def rotated(directory: Path, count: int = 40, **changes: object) -> Book:
    book = Book(directory=directory / "audit", rotation=SMALL, **changes)  # type: ignore[arg-type]  # a test's own
    for number in range(1, count + 1):
        book.append(entry(number))
    return book


def operations(book: Book) -> list[str]:
    return [str(line.data["operation"]) for line in book.lines()]


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    book = rotated(tmp_path)
    assert stat.S_IMODE(book.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in book.paths} == {0o600}
    assert stat.S_IMODE((book.directory / "audit.lock").stat().st_mode) == 0o600


def test_a_new_file_continues_the_chain(tmp_path: Path) -> None:
    book = rotated(tmp_path)
    assert len(book.paths) > 4
    assert all(path.stat().st_size < 2 * SMALL.bytes for path in book.paths)
    assert [line.seq for line in book.lines()] == list(range(1, 41))
    assert book.verify().whole
    last, first = book.raw(0)[-1], book.raw(1)[0]
    before, after = read_line(last), read_line(first)
    assert before is not None
    assert after is not None
    assert after.previous == before.mac


@pytest.mark.parametrize("at", [0, 2, -1], ids=["oldest", "middle", "newest"])
def test_a_removed_file_is_found(tmp_path: Path, at: int) -> None:
    book = rotated(tmp_path)
    numbers = [line.seq for raw in book.raw(at) if (line := read_line(raw)) is not None]
    book.paths[at].unlink()
    assert told(book.verify()) == [("removed", numbers[0], numbers[-1], None)]
    book.append(entry(99))
    assert told(book.verify()) == [("removed", numbers[0], numbers[-1], None)]


def test_the_whole_directory_removed_is_found(tmp_path: Path) -> None:
    book = rotated(tmp_path)
    for path in book.paths:
        path.unlink()
    assert told(book.verify()) == [("removed", 1, 40, None)]
    book.append(entry(99))
    assert told(book.verify()) == [("removed", 1, 40, None)]


def test_files_in_each_others_place_are_found(tmp_path: Path) -> None:
    book = rotated(tmp_path)
    first, second = book.paths[1], book.paths[2]
    held = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(held)
    assert {finding.wrong.value for finding in book.verify().findings} == {"swapped"}


def test_what_is_too_old_is_dropped_and_the_rest_can_be_verified(tmp_path: Path) -> None:
    book = rotated(tmp_path)
    before = len(book.paths)
    book.clock.now += timedelta(days=366)
    book.append(entry(41))
    # The line that says so is in the last file, which stays.
    assert len(book.paths) < before
    first = book.lines()[0].seq
    assert first > 1
    dropped = next(line for line in book.lines() if line.data["operation"] == "dropped")
    assert dropped.data["act"] == "audit"
    assert dropped.anchor is not None
    assert (dropped.anchor.seq, dropped.anchor.mac) == (first - 1, book.lines()[0].previous)
    verdict = book.verify()
    assert verdict.whole
    assert verdict.notes == (f"older lines were dropped: it holds from line {first} on",)


def test_more_lines_than_were_dropped_are_missed(tmp_path: Path) -> None:
    book = rotated(tmp_path)
    book.clock.now += timedelta(days=366)
    book.append(entry(41))
    first = book.lines()[0].seq
    book.tamper(lambda raw: raw[1:], file=0)
    assert told(book.verify()) == [("removed", first, first, None)]


def test_files_that_should_have_been_dropped_do_not_matter(tmp_path: Path) -> None:
    """PrivFace was killed between the line that says so and the last removal."""
    book = rotated(tmp_path)
    kept = {path: path.read_bytes() for path in book.paths[-2:]}
    book.clock.now += timedelta(days=366)
    book.append(entry(41))
    for path, data in kept.items():
        path.write_bytes(data)
    assert book.verify().whole
    # They go with the next ones.
    book.clock.now += timedelta(days=2)
    book.append(entry(42))
    assert not any(path.exists() for path in kept)
    assert book.verify().whole


def test_there_are_never_too_many_files(tmp_path: Path) -> None:
    book = Book(directory=tmp_path / "audit", rotation=Rotation(bytes=2048, files=3))
    for number in range(60):
        book.append(entry(number))
        assert len(book.paths) <= 3
    assert book.lines()[0].seq > 20
    assert book.verify().whole


def test_a_file_is_not_used_for_longer_than_a_part_of_the_time(tmp_path: Path) -> None:
    """Lines are dropped with their file, so a quiet home's must not hold those of years."""
    book = Book(directory=tmp_path / "audit", rotation=Rotation(days=36))
    for number in range(80):
        book.append(entry(number))
        book.clock.now += timedelta(days=1)
    assert len(book.paths) > 8
    oldest = datetime.fromisoformat(str(book.lines()[0].data["time"]))
    assert book.clock.now - oldest < timedelta(days=36 + 6)
    assert book.verify().whole


def test_a_clock_that_goes_back_breaks_nothing(tmp_path: Path) -> None:
    book = rotated(tmp_path, 10)
    book.clock.now = NOON - timedelta(days=4000)
    for number in range(11, 21):
        book.append(entry(number))
    times = [str(line.data["time"]) for line in book.lines()]
    assert times != sorted(times)
    assert [line.seq for line in book.lines()] == list(range(1, 21))
    assert book.verify().whole


def test_a_truncated_file_is_found(tmp_path: Path) -> None:
    book = filled(tmp_path)
    path = book.paths[0]
    os.truncate(path, path.stat().st_size - 20)
    finding = only(book.verify())
    assert (finding.wrong.value, finding.seq, finding.text) == ("changed", 10, "it is cut off")
    # What is left of the line is kept, and its absence stays found.
    book.append(entry(11))
    assert told(book.verify()) == [("removed", 10, 10, None)]
    assert operations(book)[-3:] == ["torn_line", "end_missing", "identify"]
    (torn,) = book.directory.glob("torn-*.bytes")
    assert stat.S_IMODE(torn.stat().st_mode) == 0o600


def test_an_unfinished_line_is_moved_aside_and_told_of(tmp_path: Path) -> None:
    book = filled(tmp_path)
    with book.paths[0].open("ab") as file:
        file.write(b'{"act":"iden')
    verdict = book.verify()
    assert verdict.whole
    assert verdict.notes == (
        "audit-000001.jsonl ends in a line that was never finished: it is moved aside with the next one",
    )
    book.append(entry(11))
    (torn,) = book.directory.glob("torn-*.bytes")
    assert torn.read_bytes() == b'{"act":"iden'
    assert operations(book)[-2:] == ["torn_line", "identify"]
    assert book.lines()[-2].data["count"] == 12
    assert book.verify().whole


def test_torn_pieces_do_not_pile_up(tmp_path: Path) -> None:
    book = filled(tmp_path, 1)
    for number in range(40):
        with book.paths[-1].open("ab") as file:
            file.write(b"x")
        book.append(entry(number))
    assert len(list(book.directory.glob("torn-*.bytes"))) <= 16


def test_a_large_piece_without_an_end_is_moved_aside(tmp_path: Path) -> None:
    book = filled(tmp_path, 3)
    with book.paths[-1].open("ab") as file:
        file.write(b"x" * 300_000)
    book.append(entry(4))
    assert book.verify().whole
    assert book.lines()[-2].data["count"] == 300_000


def test_lines_that_are_not_remembered_yet_are_taken_over(tmp_path: Path) -> None:
    """PrivFace was killed before it could remember them."""
    book = filled(tmp_path)
    log = book.open()
    log.append([entry(11), entry(12)])
    log.close()
    verdict = book.verify()
    assert verdict.whole
    assert len(verdict.notes) == 1
    assert "the last 2 lines were not yet remembered" in verdict.notes[0]
    book.append(entry(13))
    assert [line.seq for line in book.lines()] == list(range(1, 14))
    assert book.verify().notes == ()


def test_a_database_from_a_backup_is_told_of(tmp_path: Path) -> None:
    book = rotated(tmp_path, 10)
    remembered = dict(book.memory.values)
    for number in range(11, 41):
        book.append(entry(number))
    book.memory.values = remembered
    assert book.verify().whole
    book.append(entry(41))
    assert operations(book)[-2:] == ["database_behind", "identify"]
    assert book.verify().whole


def test_two_that_are_open_at_once_take_turns(tmp_path: Path) -> None:
    book = Book(directory=tmp_path / "audit", rotation=SMALL)
    one, other = book.open(), book.open()
    for number in range(30):
        (one if number % 3 else other).append([entry(number)], lasting=number % 4 == 0)
    one.settle()
    other.settle()
    assert [line.seq for line in book.lines()] == list(range(1, 31))
    assert set(operations(book)) == {"identify"}
    assert book.verify().whole
    one.close()
    other.close()


def test_pages_go_from_the_newest_to_the_oldest(tmp_path: Path) -> None:
    book = rotated(tmp_path, 25)
    seen: list[int] = []
    before: int | None = None
    while True:
        page = read_page(book.open(), Wanted(limit=7, before=before))
        seen += [line.seq for line in page.lines]
        before = page.before
        if before is None:
            break
    assert seen == list(range(25, 0, -1))


def test_pages_are_chosen_from(tmp_path: Path) -> None:
    book = filled(tmp_path, 5)
    book.append(entry(6, act=Act.FORGET, subjects=()), entry(7, act=Act.LIST))
    log = book.open()

    def numbers(**wanted: object) -> list[int]:
        return [line.seq for line in read_page(log, Wanted(limit=50, **wanted)).lines]  # type: ignore[arg-type]  # a test's own

    assert numbers(act=Act.FORGET) == [6]
    assert numbers(subject=ADA) == [7, 5, 4, 3, 2, 1]
    assert numbers(since=datetime.fromisoformat(str(book.lines()[4].data["time"]))) == [7, 6, 5]
    assert numbers(subject="nobody") == []
    assert read_page(log, Wanted(limit=7)).before is None


def test_lines_longer_than_a_block_are_read_backward(tmp_path: Path) -> None:
    book = filled(tmp_path, 3)
    book.tamper(lambda raw: [*raw[:2], b"y" * 200_000 + b"\n", raw[2]])
    assert [line.seq for line in read_page(book.open(), Wanted(limit=9)).lines] == [3, 2, 1]
    assert told(book.verify()) == [("added", None, None, 3)]


def test_killed_while_writing_six_times_nothing_that_was_told_is_lost(tmp_path: Path) -> None:
    chance = random.Random(5)  # noqa: S311  # when to kill
    written = 0
    for _ in range(6):
        child = start_child("forever", tmp_path)
        assert child.stdout is not None
        told_of = 0
        for _ in range(chance.randrange(1, 30)):
            told_of = int(child.stdout.readline())
        # Somewhere in the middle of what comes next.
        for _ in range(chance.randrange(20_000)):
            pass
        child.send_signal(signal.SIGKILL)
        told_of = max([told_of, *(int(line) for line in child.stdout if line.endswith("\n"))])
        child.wait()
        child.stdout.close()
        verdict = verify_log(open_log(tmp_path))
        assert verdict.whole, verdict.findings
        assert verdict.last is not None
        assert verdict.last >= written + told_of
        written = verdict.last
    assert written >= 30


def test_killed_in_the_middle_of_a_line(tmp_path: Path) -> None:
    child = start_child("half", tmp_path)
    child.communicate(timeout=120)
    assert child.returncode == -signal.SIGKILL
    log = open_log(tmp_path)
    verdict = verify_log(log)
    assert verdict.whole
    assert (verdict.lines, verdict.last) == (2, 1)
    log.append([entry(3)], lasting=True)
    assert verify_log(log).whole
    said = [line.data["operation"] for line in read_page(log, Wanted(limit=9)).lines]
    assert said == ["identify", "torn_line", "identify"]
    assert len(list((tmp_path / "audit").glob("torn-*.bytes"))) == 1


def test_processes_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    Database(tmp_path / "privface.db", KEYS).close()
    children = [start_child("some", tmp_path, name, "60") for name in ("a", "b", "c")]
    for child in children:
        child.communicate(timeout=240)
    assert [child.returncode for child in children] == [0, 0, 0]
    log = open_log(tmp_path)
    assert verify_log(log).whole
    lines = read_page(log, Wanted(limit=1000)).lines
    assert {line.data["operation"] for line in lines} == {"identify"}
    said = [str(line.data["request_id"]) for line in reversed(lines)]
    assert len(said) == 180
    for name in ("a", "b", "c"):
        assert [one for one in said if one.startswith(name)] == [f"{name}-{number}" for number in range(60)]


def test_a_file_that_may_not_grow_leaves_whole_lines(tmp_path: Path) -> None:
    child = start_child("full", tmp_path, str(40_000))
    out, _ = child.communicate(timeout=120)
    count, code = out.split()
    assert code == ErrorCode.AUDIT_FAILED.value
    log = open_log(tmp_path)
    verdict = verify_log(log)
    assert verdict.whole
    assert verdict.last == int(count)
    assert verdict.lines == int(count)
    log.append([entry()], lasting=True)
    assert verify_log(log).notes == ()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    book = Book(directory=small_disk / "audit")
    log = book.open()

    def write_all() -> None:
        for number in range(10_000):
            log.append([entry(number)])

    with pytest.raises(PrivFaceError) as error:
        write_all()
    assert error.value.code is ErrorCode.AUDIT_FAILED
    log.settle()
    full = book.verify()
    assert full.whole
    assert full.lines > 50
    subprocess.run(["mount", "-o", "remount,size=256k", str(small_disk)], check=True)
    log.append([entry()], lasting=True)
    assert book.verify().lines == full.lines + 1
    assert book.verify().whole
    log.close()


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("a file")
    with pytest.raises(PrivFaceError) as error:
        Book(directory=tmp_path / "audit").append(entry())
    assert error.value.code is ErrorCode.AUDIT_FAILED


class FullMemory(Memory):
    """As a database on a full disk."""

    full = False

    def set_meta(self, key: str, value: str) -> None:
        if self.full:
            raise PrivFaceError(ErrorCode.STORAGE_FULL, "The disk takes no more.")
        super().set_meta(key, value)


def test_a_database_that_takes_nothing_costs_no_line(tmp_path: Path) -> None:
    memory = FullMemory()
    book = Book(directory=tmp_path / "audit", memory=memory)
    log = book.open()
    log.append([entry(1)], lasting=True)
    memory.full = True
    log.append([entry(2)], lasting=True)
    assert log.unsettled
    assert book.verify().whole
    memory.full = False
    log.settle()
    assert book.verify().notes == ()
    log.close()


def test_with_another_master_key_new_lines_have_another_key_and_the_old_ones_can_be_checked(tmp_path: Path) -> None:
    """As ``privface key rotate`` does it."""
    keys = KeyFolder(tmp_path / "keys")
    database = Database(tmp_path / "privface.db", keys)
    book = Book(directory=tmp_path / "audit")
    for number in range(3):
        key = database.seals.protection.derive("audit")
        book.key, book.former = key, remember_key(database, key)
        book.append(entry(number))
        assert len(book.former) == number + 1
        assert remember_key(database, key) == book.former
        database.rotate_key(keys)
    assert len({line.key for line in book.lines()}) == 3
    assert book.verify().whole
    assert book.verify().notes == ()
    book.tamper(lambda raw: [raw[0].replace(b"known", b"other"), *raw[1:]])
    assert told(book.verify()) == [("changed", 1, None, 1)]
    database.close()
    # What they are is sealed.
    stored = (tmp_path / "privface.db").read_bytes()
    assert not any(key in stored or key.hex().encode() in stored for key in book.former)
