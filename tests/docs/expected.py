"""Writes what a new source reads from its fixtures beside them: ``python -m tests.docs.expected NAME``.

To be read and corrected by a person; what is there already stays.
"""

from __future__ import annotations

import sys

import msgspec

from tests.sources.reading import EXPECTED, bodies, shown
from tests.sources.test_sources_contract import alerts


def main(source: str) -> None:
    for fixture in bodies(source):
        expected = fixture.with_name(fixture.stem + EXPECTED)
        if not expected.exists():
            read = msgspec.json.encode([shown(alert) for alert in alerts(source, fixture)])
            expected.write_bytes(msgspec.json.format(read, indent=2) + b"\n")
            sys.stdout.write(f"{expected}\n")


if __name__ == "__main__":
    main(sys.argv[1])
