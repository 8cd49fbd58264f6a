"""Whether a chain of lines is whole; and if not, which lines were changed, removed, swapped or added. Pure.

Every genuine line says its number and the mac of the line before it. The end of the chain is known from outside, as
the place that was remembered after the last lines were written; so is its beginning, from the newest line that tells
of dropped ones.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from privface_backend.audit.lines import NOTHING, Line, Place, Sealer, read_line

MOST_FINDINGS: Final = 1000


class Wrong(StrEnum):
    """What is wrong with a line."""

    CHANGED = "changed"
    REMOVED = "removed"
    SWAPPED = "swapped"
    ADDED = "added"
    UNSEALED = "unsealed"
    OPEN_END = "open_end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong. ``seq`` to ``last``: which lines by their numbers, None where it has none; ``file`` and
    ``number``: where it stands, None for what is no longer there."""

    wrong: Wrong
    text: str
    seq: int | None = None
    last: int | None = None
    file: str | None = None
    number: int | None = None

    def to_dict(self) -> dict[str, object]:
        return {
            "wrong": self.wrong.value,
            "seq": self.seq,
            "last": self.last,
            "file": self.file,
            "line": self.number,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RawLine:
    """A line as it stands in a file; ``number`` counts from 1."""

    file: str
    number: int
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found. ``first`` and ``last``: the numbers of the lines that are there; ``end``: the place of the last
    one; ``notes``: what is no fault, but good to know."""

    lines: int
    first: int | None
    last: int | None
    end: Place | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return not self.findings

    def to_dict(self) -> dict[str, object]:
        return {
            "whole": self.whole,
            "lines": self.lines,
            "first": self.first,
            "last": self.last,
            "end": None if self.end is None else {"seq": self.end.seq, "mac": self.end.mac},
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class _Placed:
    """``place``: a position in the files, all lines counted; ``line``: None: not genuine."""

    at: int
    file: str
    number: int
    line: Line | None
    claimed: int | None
    unfinished: bool


def verify(lines: Iterable[RawLine], sealer: Sealer, head: Place | None, expected: Place | None = None) -> Verdict:
    """Look at all lines, in the order of the files. ``head``: where the chain was last known to end; None: not known.
    ``expected``: a place that somebody noted: it must be in the chain, unless it was dropped by age."""
    return _Verification(_place(lines, sealer), sealer, head).run(expected)


def _place(lines: Iterable[RawLine], sealer: Sealer) -> list[_Placed]:
    found: list[_Placed] = []
    sealed = False
    for at, one in enumerate(lines):
        line = read_line(one.raw) if one.raw.endswith(b"\n") else None
        claimed = None if line is None else line.seq
        genuine = line is not None and (sealer.is_genuine(line) if sealer.knows(line) else True)
        if line is not None and genuine:
            checked = line.key is not None and sealer.knows(line)
            # Behind a line that was sealed with a key none can come that wasn't: that is how one would be forged.
            genuine = checked or not sealed
            sealed = sealed or checked
        placed = _Placed(
            at=at,
            file=one.file,
            number=one.number,
            line=line if genuine else None,
            claimed=claimed,
            unfinished=not one.raw.endswith(b"\n"),
        )
        found.append(placed)
    return found


class _Verification:
    """One look at a chain."""

    def __init__(self, placed: Sequence[_Placed], sealer: Sealer, head: Place | None) -> None:
        self._placed: Final = placed
        self._sealer: Final = sealer
        self._head: Final = head
        self._findings: Final[list[Finding]] = []
        self._notes: Final[list[str]] = []
        self._missing: list[tuple[int, int]] = []
        self._chosen: Final[dict[int, _Placed]] = {}

    def run(self, expected: Place | None) -> Verdict:
        spare = self._choose()
        self._check_beginning()
        self._check_expected(expected)
        self._check_end()
        self._check_order()
        self._judge_others(spare)
        for first, last in self._missing:
            text = "is not there" if first == last else "are not there"
            self._add(Wrong.REMOVED, text, seq=first, last=last)
        self._note_keys()
        numbers = sorted(self._chosen)
        end = None if not numbers else _line(self._chosen[numbers[-1]]).place
        return Verdict(
            lines=len(self._placed),
            first=numbers[0] if numbers else None,
            last=numbers[-1] if numbers else None,
            end=end,
            findings=tuple(sorted(self._findings, key=lambda one: one.seq or 0)),
            notes=tuple(self._notes),
        )

    def _add(
        self, wrong: Wrong, text: str, placed: _Placed | None = None, *, seq: int | None, last: int | None = None
    ) -> None:
        if len(self._findings) >= MOST_FINDINGS:
            return
        where = (None, None) if placed is None else (placed.file, placed.number)
        self._findings.append(Finding(wrong=wrong, text=text, seq=seq, last=last, file=where[0], number=where[1]))

    def _choose(self) -> list[_Placed]:
        """From the end to the beginning, the line that each number's place in the chain belongs to; gaps are noted as
        missing. Returns the genuine lines that have no place."""
        by_seq: defaultdict[int, list[_Placed]] = defaultdict(list)
        for one in self._placed:
            if one.line is not None:
                by_seq[one.line.seq].append(one)
        spare: list[_Placed] = []
        after = max(max(by_seq, default=0), 0 if self._head is None else self._head.seq) + 1
        for seq in sorted(by_seq, reverse=True):
            wanted = self._wanted(seq)
            if seq < after - 1:
                self._missing.append((seq + 1, after - 1))
            chosen = self._pick(seq, by_seq[seq], wanted)
            self._chosen[seq] = chosen
            spare += (one for one in by_seq[seq] if one is not chosen)
            after = seq
        if not by_seq and after > 1:
            self._missing.append((1, after - 1))
        self._missing.reverse()
        return spare

    def _wanted(self, seq: int) -> str | None:
        """The mac that the line of that number must have; None: nothing says so."""
        remembered = self._head.mac if self._head is not None and self._head.seq == seq else None
        following = self._chosen.get(seq + 1)
        if following is None:
            return remembered
        previous = _line(following).previous
        if remembered is not None and remembered != previous:
            self._add(Wrong.CHANGED, "it doesn't continue the line that was remembered", following, seq=seq + 1)
            return remembered
        return previous

    def _pick(self, seq: int, candidates: Sequence[_Placed], wanted: str | None) -> _Placed:
        fitting = [one for one in candidates if wanted is None or _line(one).mac == wanted]
        if fitting:
            return fitting[0]
        # Its own mac is right: made anew by somebody who needs no key for that, or of another chain.
        self._add(Wrong.CHANGED, "the chain goes on from another line of that number", candidates[0], seq=seq)
        return candidates[0]

    def _check_beginning(self) -> None:
        if not self._chosen:
            return
        anchors = ((seq, anchor) for seq, one in self._chosen.items() if (anchor := _line(one).anchor) is not None)
        anchor = max(anchors, default=(0, Place()), key=lambda one: one[0])[1]
        first = min(self._chosen)
        line = _line(self._chosen[first])
        if first > anchor.seq + 1:
            self._missing.insert(0, (anchor.seq + 1, first - 1))
        elif first == anchor.seq + 1 and line.previous != anchor.mac:
            self._add(Wrong.CHANGED, "it doesn't continue what was dropped", self._chosen[first], seq=first)
        elif first == 1 and line.previous != NOTHING:
            self._add(Wrong.CHANGED, "the first line says that one was before it", self._chosen[first], seq=first)
        if anchor.seq:
            self._notes.append(f"older lines were dropped: it holds from line {anchor.seq + 1} on")

    def _check_expected(self, expected: Place | None) -> None:
        if expected is None:
            return
        there = self._chosen.get(expected.seq)
        if there is not None and _line(there).mac != expected.mac:
            self._add(Wrong.CHANGED, "it is not the line that was noted", there, seq=expected.seq)
        elif there is None and expected.seq > max(self._chosen, default=0):
            self._missing.append((max(self._chosen, default=0) + 1, expected.seq))
        elif there is None and not any(first <= expected.seq <= last for first, last in self._missing):
            self._notes.append(f"the noted line {expected.seq} was dropped since")

    def _check_end(self) -> None:
        last = max(self._chosen, default=0)
        if self._head is None:
            if last:
                self._add(
                    Wrong.OPEN_END,
                    "the database doesn't remember where the log ends: lines removed at the end would not be found",
                    self._chosen[last],
                    seq=last,
                )
        elif last > self._head.seq:
            self._notes.append(
                f"the last {last - self._head.seq} lines were not yet remembered in the database: they were written "
                "just now, or PrivFace ended without closing"
            )

    def _check_order(self) -> None:
        """Lines that are there, where others belong."""
        standing = sorted(self._chosen.values(), key=lambda one: one.at)
        for one, seq in zip(standing, sorted(self._chosen), strict=True):
            if _line(one).seq != seq:
                self._add(Wrong.SWAPPED, f"it stands where line {seq} belongs", one, seq=_line(one).seq)

    def _judge_others(self, spare: Sequence[_Placed]) -> None:
        """Lines without a place in the chain: in the place of a missing one, or added."""
        for one in spare:
            self._add(Wrong.ADDED, "there is another line of that number in the chain", one, seq=_line(one).seq)
        standing = sorted(self._chosen.values(), key=lambda one: one.at)
        places = [one.at for one in standing]
        for one in self._placed:
            if one.line is not None:
                continue
            index = bisect_left(places, one.at)
            low = _line(standing[index - 1]).seq + 1 if index else 1
            high = _line(standing[index]).seq - 1 if index < len(standing) else None
            seq = self._take_missing(one.claimed, low, high)
            if seq is not None:
                text = "it is cut off" if one.unfinished else "it is not as it was written"
                self._add(Wrong.CHANGED, text, one, seq=seq)
            elif one.unfinished and high is None:
                self._notes.append(
                    f"{one.file} ends in a line that was never finished: it is moved aside with the next one"
                )
            else:
                self._add(Wrong.ADDED, "PrivFace has not written it", one, seq=one.claimed)

    def _take_missing(self, claimed: int | None, low: int, high: int | None) -> int | None:
        """The missing number that a line between ``low`` and ``high`` takes the place of: its own, or the lowest."""
        fitting = [(max(low, first), last if high is None else min(high, last)) for first, last in self._missing]
        fitting = [(first, last) for first, last in fitting if first <= last]
        if not fitting:
            return None
        own = claimed is not None and any(first <= claimed <= last for first, last in fitting)
        seq = claimed if own and claimed is not None else fitting[0][0]
        ranges: list[tuple[int, int]] = []
        for first, last in self._missing:
            parts = ((first, seq - 1), (seq + 1, last)) if first <= seq <= last else ((first, last),)
            ranges += (part for part in parts if part[0] <= part[1])
        self._missing = ranges
        return seq

    def _note_keys(self) -> None:
        unknown = [seq for seq, one in self._chosen.items() if not self._sealer.knows(_line(one))]
        if unknown:
            text = "were sealed with a key that isn't here: only their order can be checked"
            self._notes.append(f"lines {min(unknown)} to {max(unknown)} {text}")
        plain = [seq for seq, one in self._chosen.items() if _line(one).key is None]
        if self._sealer.key_id is None:
            return
        last = max(self._chosen, default=0)
        if last in (*plain, *unknown):
            self._add(Wrong.UNSEALED, "it was written without the key", self._chosen[last], seq=last)
        elif plain:
            self._notes.append(f"lines {min(plain)} to {max(plain)} are from before there was a key")


def _line(placed: _Placed) -> Line:
    if placed.line is None:
        raise ValueError("the line is not genuine")
    return placed.line
