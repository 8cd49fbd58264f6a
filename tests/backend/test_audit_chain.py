"""Whoever changes, removes, swaps or adds a line of the audit log is found out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from privface_backend.audit.chain import Wrong
from privface_backend.audit.entries import Act, By, Entry
from privface_backend.audit.lines import Line, Place, Sealer, canonical, read_line, write_line
from privface_backend.audit.reading import verify_log
from support.auditing import KEY, NOON, Book, entry, filled, only, told

Change = Callable[[list[bytes]], Iterable[bytes]]
BOTH = pytest.mark.parametrize("key", [KEY, None], ids=["with the key", "without a key"])


def changed(raw: bytes, **values: object) -> bytes:
    """The line with other values, its mac as it was."""
    return canonical(json.loads(raw) | values) + b"\n"


def resealed(raw: bytes, key: bytes | None = None, **values: object) -> bytes:
    """The line with other values and a mac that fits them, made with ``key``."""
    sealer = Sealer(key)
    data = json.loads(raw) | values
    body = {name: value for name, value in data.items() if name not in {"mac", "key"}}
    if sealer.key_id is not None:
        body["key"] = sealer.key_id
    mac = sealer._mac(body, str(body["previous"]), sealer.key_id)
    return canonical(body | {"mac": mac}) + b"\n"


def read(raw: bytes) -> Line:
    line = read_line(raw)
    assert line is not None
    return line


@BOTH
def test_an_untouched_log_is_whole(tmp_path: Path, key: bytes | None) -> None:
    book = filled(tmp_path, key=key)
    verdict = book.verify()
    assert verdict.whole
    assert (verdict.lines, verdict.first, verdict.last) == (10, 1, 10)
    assert verdict.notes == ()
    assert verdict.end == book.lines()[-1].place


def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    verdict = Book(directory=tmp_path / "audit").verify()
    assert verdict.whole
    assert verdict.lines == 0


@BOTH
@pytest.mark.parametrize("at", [0, 4, 9], ids=["first", "middle", "last"])
@pytest.mark.parametrize(
    "values",
    [{"outcome": "unknown"}, {"mac": "0" * 64}, {"previous": "1" * 64}, {"subjects": []}, {"time": "2020"}],
    ids=lambda values: next(iter(values)),
)
def test_a_changed_line_is_found(tmp_path: Path, key: bytes | None, at: int, values: dict[str, object]) -> None:
    book = filled(tmp_path, key=key)
    book.tamper(lambda raw: [*raw[:at], changed(raw[at], **values), *raw[at + 1 :]])
    assert told(book.verify()) == [("changed", at + 1, None, at + 1)]


@BOTH
def test_a_changed_number_is_found(tmp_path: Path, key: bytes | None) -> None:
    book = filled(tmp_path, key=key)
    book.tamper(lambda raw: [*raw[:4], changed(raw[4], seq=7), *raw[5:]])
    assert told(book.verify()) == [("changed", 5, None, 5)]


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b":", b": ", 1),
        lambda _: b"{}\n",
        lambda _: b"\xff\xfe\n",
        lambda _: b"\n",
        lambda raw: raw.replace(b'"act"', b'"act":"list","act"', 1),
    ],
    ids=["a space", "empty object", "no text", "empty", "a key twice"],
)
def test_a_line_that_is_not_as_we_write_them_is_changed(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    book = filled(tmp_path)
    book.tamper(lambda raw: [*raw[:4], change(raw[4]), *raw[5:]])
    assert told(book.verify()) == [("changed", 5, None, 5)]


@BOTH
@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (slice(1, None), ("removed", 1, 1, None)),
        (slice(3, None), ("removed", 1, 3, None)),
        (slice(None, -1), ("removed", 10, 10, None)),
        (slice(None, -4), ("removed", 7, 10, None)),
        (slice(0, 0), ("removed", 1, 10, None)),
    ],
    ids=["first", "first three", "last", "last four", "all"],
)
def test_removed_lines_are_found(
    tmp_path: Path, key: bytes | None, keep: slice, expected: tuple[str, int, int, None]
) -> None:
    book = filled(tmp_path, key=key)
    book.tamper(lambda raw: raw[keep])
    assert told(book.verify()) == [expected]


@BOTH
def test_lines_removed_in_the_middle_are_found(tmp_path: Path, key: bytes | None) -> None:
    book = filled(tmp_path, key=key)
    book.tamper(lambda raw: [*raw[:2], *raw[3:6], *raw[8:]])
    assert told(book.verify()) == [("removed", 3, 3, None), ("removed", 7, 8, None)]


@BOTH
def test_a_line_removed_at_the_end_stays_found_when_others_follow(tmp_path: Path, key: bytes | None) -> None:
    book = filled(tmp_path, key=key)
    book.tamper(lambda raw: raw[:-1])
    book.append(entry(11))
    assert told(book.verify()) == [("removed", 10, 10, None)]
    said = [line.data["operation"] for line in book.lines()]
    assert said[-2:] == ["end_missing", "identify"]


@BOTH
@pytest.mark.parametrize(("one", "other"), [(4, 5), (0, 9), (2, 7)])
def test_swapped_lines_are_found(tmp_path: Path, key: bytes | None, one: int, other: int) -> None:
    def swap(raw: list[bytes]) -> list[bytes]:
        raw[one], raw[other] = raw[other], raw[one]
        return raw

    book = filled(tmp_path, key=key)
    book.tamper(swap)
    assert told(book.verify()) == [("swapped", one + 1, None, other + 1), ("swapped", other + 1, None, one + 1)]


@BOTH
@pytest.mark.parametrize("at", [0, 5, 10], ids=["first", "middle", "last"])
def test_an_added_line_is_found(tmp_path: Path, key: bytes | None, at: int) -> None:
    book = filled(tmp_path, key=key)
    foreign = changed(book.raw()[3], outcome="unknown")
    book.tamper(lambda raw: [*raw[:at], foreign, *raw[at:]])
    assert told(book.verify()) == [("added", 4, None, at + 1)]


@BOTH
def test_a_copied_line_is_found(tmp_path: Path, key: bytes | None) -> None:
    book = filled(tmp_path, key=key)
    book.tamper(lambda raw: [*raw[:6], raw[3], *raw[6:]])
    assert told(book.verify()) == [("added", 4, None, 7)]


@BOTH
def test_an_added_line_with_a_hash_of_its_own_is_found(tmp_path: Path, key: bytes | None) -> None:
    book = filled(tmp_path, key=key)
    foreign = resealed(book.raw()[5], outcome="unknown")
    book.tamper(lambda raw: [*raw[:5], foreign, *raw[5:]])
    assert told(book.verify()) == [("added", 6, None, 6)]


@BOTH
def test_a_changed_line_with_a_hash_of_its_own_is_found(tmp_path: Path, key: bytes | None) -> None:
    book = filled(tmp_path, key=key)
    book.tamper(lambda raw: [*raw[:5], resealed(raw[5], outcome="unknown"), *raw[6:]])
    assert told(book.verify()) == [("changed", 6, None, 6)]


@BOTH
def test_the_last_line_with_a_hash_of_its_own_is_found(tmp_path: Path, key: bytes | None) -> None:
    book = filled(tmp_path, key=key)
    book.tamper(lambda raw: [*raw[:-1], resealed(raw[-1], outcome="unknown")])
    assert told(book.verify()) == [("changed", 10, None, 10)]
    # And it stays found, whatever is written after it.
    book.append(entry(11))
    assert [finding[0] for finding in told(book.verify())] == ["changed"]


def rewritten(raw: list[bytes], key: bytes | None) -> list[bytes]:
    """A whole chain made anew by a forger: a line fewer, each fitting the one before."""
    place, lines = Place(), []
    for one in (*raw[:4], *raw[5:]):
        data = json.loads(one)
        told_of = Entry(act=Act(data["act"]), operation=data["operation"], by=By(data["by"]), outcome="unknown")
        line = Sealer(key).seal(told_of, place, NOON)
        place = line.place
        lines.append(write_line(line))
    return lines


@pytest.mark.parametrize("forged", [None, b"f" * 32], ids=["without a key", "with another key"])
def test_a_chain_made_anew_without_the_key_is_found_even_with_the_database(
    tmp_path: Path, forged: bytes | None
) -> None:
    book = filled(tmp_path)
    book.tamper(lambda raw: rewritten(raw, forged))
    last = book.lines()[-1].place
    book.memory.values["audit"] = json.dumps({"seq": last.seq, "mac": last.mac})
    assert Wrong.UNSEALED in {finding.wrong for finding in book.verify().findings}


def test_a_chain_without_a_key_made_anew_is_found_by_the_database(tmp_path: Path) -> None:
    book = filled(tmp_path, key=None)
    book.tamper(lambda raw: rewritten(raw, None))
    assert told(book.verify()) == [("removed", 10, 10, None)]


def test_a_line_without_the_key_among_sealed_ones_is_not_taken(tmp_path: Path) -> None:
    book = filled(tmp_path)
    book.tamper(lambda raw: [*raw[:5], resealed(raw[5]), *raw[6:]])
    assert told(book.verify()) == [("changed", 6, None, 6)]


def test_lines_from_before_there_was_a_key_are_held_by_those_after(tmp_path: Path) -> None:
    book = filled(tmp_path, key=None)
    book.key = KEY
    book.append(*(entry(number) for number in range(11, 14)))
    verdict = book.verify()
    assert verdict.whole
    assert verdict.notes == ("lines 1 to 10 are from before there was a key",)
    assert [line.seq for line in book.lines()] == list(range(1, 14))
    # Made anew from the start, they don't lead to the first sealed one.
    book.tamper(lambda raw: [resealed(raw[0], outcome="unknown"), *raw[1:]])
    assert told(book.verify()) == [("changed", 1, None, 1)]


def test_a_new_key_goes_on_with_the_chain(tmp_path: Path) -> None:
    book = filled(tmp_path)
    book.key, book.former = b"n" * 32, (KEY,)
    book.append(entry(11))
    assert book.verify().whole
    assert book.verify().notes == ()
    # Without the old key its lines' order can still be checked, and that is said.
    book.former = ()
    verdict = book.verify()
    assert verdict.whole
    assert verdict.notes == ("lines 1 to 10 were sealed with a key that isn't here: only their order can be checked",)
    book.tamper(lambda raw: [*raw[:5], *raw[6:]])
    assert told(book.verify()) == [("removed", 6, 6, None)]


def test_several_faults_are_all_told(tmp_path: Path) -> None:
    def change(raw: list[bytes]) -> list[bytes]:
        raw[8], raw[9] = raw[9], raw[8]
        return [raw[0], changed(raw[1], outcome="x"), *raw[3:5], b"what?\n", *raw[5:]]

    book = filled(tmp_path, 12)
    book.tamper(change)
    assert told(book.verify()) == [
        ("added", None, None, 5),
        ("changed", 2, None, 2),
        ("removed", 3, 3, None),
        ("swapped", 9, None, 10),
        ("swapped", 10, None, 9),
    ]


def test_a_place_that_was_noted_elsewhere_is_missed(tmp_path: Path) -> None:
    """Whoever puts back an older state of files and database together is found by who noted a later place."""
    book = filled(tmp_path)
    kept, remembered = book.paths[0].read_bytes(), dict(book.memory.values)
    book.append(entry(11))
    noted = book.verify().end
    assert noted is not None
    book.paths[0].write_bytes(kept)
    book.memory.values = remembered
    assert book.verify().whole
    assert only(verify_log(book.open(), noted)).wrong is Wrong.REMOVED
    book.append(entry(12))
    assert only(verify_log(book.open(), noted)).wrong is Wrong.CHANGED


def test_a_database_that_remembers_nothing_is_said(tmp_path: Path) -> None:
    book = filled(tmp_path)
    book.memory.values.clear()
    assert only(book.verify()).wrong is Wrong.OPEN_END
    book.append(entry(11))
    assert book.verify().whole
    assert [line.data["operation"] for line in book.lines()][-2:] == ["end_not_remembered", "identify"]


@pytest.mark.parametrize("value", ["", "{}", "[]", "what", '{"seq": "x", "mac": 1}'])
def test_what_is_remembered_may_be_nonsense(tmp_path: Path, value: str) -> None:
    book = filled(tmp_path)
    book.memory.values["audit"] = value
    assert only(book.verify()).wrong is Wrong.OPEN_END


def test_texts_of_callers_stay_in_their_line(tmp_path: Path) -> None:
    book = filled(tmp_path, 1)
    nasty = 'a"b\\c\nd\r\x00\u2028\x85 é 😀 \ud800' + "x" * 1000
    book.append(entry(2, requestor_id=nasty, requestor_type=nasty, request_id=nasty, camera=nasty))
    book.append(entry(3))
    assert book.verify().whole
    raw = book.raw()
    assert len(raw) == 3
    assert raw[1].isascii()
    line = read(raw[1])
    assert line.data["requestor_id"] == nasty[:256]
    assert len(raw[1]) < 8192


def test_a_line_says_who_asked_what_about_whom_and_when(tmp_path: Path) -> None:
    book = filled(tmp_path, 1)
    one = replace(entry(), token="t", requestor_id="panel-7", requestor_type="panel", camera="door", count=2)
    book.append(one)
    data = read(book.raw()[1]).data
    assert data["seq"] == 2
    assert data["time"].startswith("2026-11-28T12:00:")
    assert data["time"].endswith("Z")
    assert {name: data[name] for name in ("act", "operation", "by", "token", "outcome", "count")} == {
        "act": "identify",
        "operation": "identify",
        "by": "rest",
        "token": "t",
        "outcome": "known",
        "count": 2,
    }
    assert (data["requestor_id"], data["requestor_type"], data["camera"]) == ("panel-7", "panel", "door")
