"""Long texts are cut to lines that tell most."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mcp_responder.analysts.excerpt import excerpt, excerpts

NOISE = [f"INFO request {number} served" for number in range(5000)]


def test_short_texts_stay_whole_and_long_ones_share_the_rest() -> None:
    long = "\n".join(NOISE)
    short, first, second = excerpts(["short", long, long], 9005)
    assert short == "short"
    assert 4000 < len(first) <= 4500
    assert 4000 < len(second) <= 4500


def test_rare_errors_and_the_newest_lines_stay_in_their_order() -> None:
    lines = [*NOISE[:100], "FATAL: out of memory", *NOISE[100:]]
    cut = excerpt("\n".join(lines), 1000)
    assert cut.index("FATAL") < cut.index("request 4999")
    assert cut.endswith("[some lines are left out here]")


def test_an_error_that_is_repeated_leaves_room_for_others() -> None:
    lines = [f"ERROR timeout {number}" for number in range(5000)]
    lines[2500] = "ERROR certificate has expired"
    assert "certificate has expired" in excerpt("\n".join(lines), 500)


@given(st.lists(st.text(max_size=300), max_size=6), st.integers(0, 600))
def test_the_room_is_kept(texts: list[str], room: int) -> None:
    cut = excerpts(texts, room)
    assert sum(map(len, cut)) <= room
    assert [short for short, text in zip(cut, texts, strict=True) if len(text) * len(texts) <= room] == [
        text for text in texts if len(text) * len(texts) <= room
    ]
