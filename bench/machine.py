"""What the machine is, what processes use of it, and how much of it others take."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
WORK = Path(__file__).resolve().parent / ".work"
PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
IDLE_FIELDS = (3, 4)
"""Idle and waiting for a disk, among the figures of /proc/stat."""
GUEST_FIELDS = 8
"""What follows is counted among the earlier figures already."""


@dataclass(frozen=True)
class Memory:
    """Megabytes: resident, and resident with shared pages divided among those that share them."""

    rss: float
    pss: float

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.rss + other.rss, self.pss + other.pss)


@dataclass(frozen=True)
class Use:
    """What a stretch of time cost: its seconds, the CPU seconds of the measured, and cores that others used."""

    seconds: float
    cpu: float
    others: float


class Meter:
    """Measures from its making on. ``roots`` are the measured processes; the bench and all below it aren't others."""

    def __init__(self, roots: Sequence[int]) -> None:
        self._roots = roots
        self._start = time.perf_counter()
        self._cpu = cpu_of(*roots)
        self._ours = cpu_of(os.getpid())
        self._busy = busy()

    def read(self) -> Use:
        """What was used until now."""
        seconds = time.perf_counter() - self._start
        cpu = cpu_of(*self._roots) - self._cpu
        others = busy() - self._busy - (cpu_of(os.getpid()) - self._ours)
        return Use(seconds, cpu, max(0.0, others / seconds))


def tree(*roots: int) -> list[int]:
    """Processes and everything below them."""
    below: dict[int, list[int]] = {}
    for pid, fields in _processes():
        below.setdefault(int(fields[1]), []).append(pid)
    found = list(roots)
    for pid in found:
        found += below.get(pid, [])
    return found


def cpu_of(*roots: int) -> float:
    """CPU seconds of processes and everything below them, also of what has ended there."""
    pids = set(tree(*roots))
    return sum(sum(map(int, fields[11:15])) for pid, fields in _processes() if pid in pids) / TICKS


def busy() -> float:
    """CPU seconds that all cores have worked since the start of the machine."""
    figures = [int(word) for word in (PROC / "stat").read_text().split("\n", 1)[0].split()[1 : GUEST_FIELDS + 1]]
    return sum(figure for field, figure in enumerate(figures) if field not in IDLE_FIELDS) / TICKS


def memory_of(pid: int) -> Memory:
    """Of one process."""
    sizes: dict[str, float] = {}
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, size, _ = line.split()
        sizes[name] = int(size) / 1024
    return Memory(sizes["Rss:"], sizes["Pss:"])


def memory_of_tree(*roots: int) -> Memory:
    """Of processes and everything below them."""
    return sum((memory_of(pid) for pid in tree(*roots)), Memory(0.0, 0.0))


def command_of(pid: int) -> str:
    """The command line of a process."""
    return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def facts() -> dict[str, str]:
    """What a reader must know to judge the figures."""
    return {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "commit": _commit(),
    }


def _processes() -> Iterator[tuple[int, list[str]]]:
    """Each process with the fields of its ``stat`` after the name, which may hold blanks."""
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            try:
                text = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            yield int(entry.name), text.rpartition(")")[2].split()


def _processor() -> str:
    lines = (PROC / "cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(REPOSITORY), *words], capture_output=True, text=True, check=False
        ).stdout.strip()

    changed = " with uncommitted changes" if git("status", "--porcelain", "--", "src") else ""
    return f"{git('rev-parse', '--short', 'HEAD') or 'unknown'}{changed}"
