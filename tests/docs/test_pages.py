"""The pages say what the program does: generated ones are fresh, nothing is left out, every link leads somewhere."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import generate
from docs.generator import errors, http, metrics, settings
from mcp_responder import app
from mcp_responder.channels import load_kinds
from mcp_responder.entrypoints.cli.commands import COMMANDS
from mcp_responder.operations import OUTCOMES, SUPPRESSED
from mcp_responder.settings import Settings, load
from mcp_responder.sources import load_sources
from tests.docs.pages import HEADING, ROOT, examples, name_of, pages, without_code

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
REFERENCE = ROOT / "docs" / "reference"
TOMLS = [
    pytest.param(example.text, id=f"{name_of(page)}-{number}")
    for page in pages()
    for number, example in enumerate(examples(page))
    if example.language == "toml"
]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return generate.written()


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_fresh(name: str, written: dict[str, str]) -> None:
    assert text(name) == written[name], "run `make docs`"


def test_a_stale_page_is_named_and_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "PAGES", {"docs/reference/cli.md": lambda: "other"})
    assert generate.main(["--check"]) == 1
    assert "docs/reference/cli.md is stale" in capsys.readouterr().out


# -------------------------------------------------------------------------------------------------- nothing is left out


def test_every_setting_stands_in_the_reference_and_in_the_example() -> None:
    page, example = text("docs/reference/settings.md"), text("responder.example.toml")
    for _, _, listed in (*settings.sections(), *settings.channel_sections()):
        for setting in listed:
            assert f"`{setting.key}`" in page
            assert setting.variable in page
            assert f"\n#{setting.key.rpartition('.')[2]} = " in example
            assert setting.doc
    assert {name.partition(".")[0] for name, *_ in settings.sections() if name} | set(settings.open_tables()) < set(
        Settings.__struct_fields__
    )


def test_every_command_stands_in_the_reference() -> None:
    page = text("docs/reference/cli.md")
    assert [command.name for command in COMMANDS if f"\n## {command.name}\n" not in page] == []


def test_every_route_stands_in_the_reference() -> None:
    page = text("docs/reference/http.md")
    routes = [f"### `{method} {path}`" for method, path, _ in http.operations()]
    assert len(routes) > 20
    assert [route for route in routes if route not in page] == []


def test_every_source_channel_metric_and_code_stands_in_the_reference() -> None:
    for page, names in {
        "sources.md": [f"## {name}" for name in load_sources()],
        "channels.md": [f"## {kind}" for kind in load_kinds()],
        "metrics.md": [f"`{one.name}`" for one in metrics.metrics()],
        "errors.md": [f"`{one.code}`" for one in errors.problems()],
    }.items():
        assert names
        assert [name for name in names if name not in (REFERENCE / page).read_text(encoding="utf-8")] == []


def test_every_outcome_is_explained_where_the_ledger_is() -> None:
    page = text("docs/how-to/read-the-ledger.md")
    for outcome in (*OUTCOMES, *(f"suppressed:{rule}" for rule in SUPPRESSED)):
        assert f"| `{outcome}` |" in page


def test_every_decision_is_listed() -> None:
    listed = text("docs/decisions/README.md")
    files = sorted((ROOT / "docs/decisions").glob("0*.md"))
    assert [file.name for file in files if f"({file.name})" not in listed] == []
    for file in files:
        assert HEADING.findall(file.read_text(encoding="utf-8"))[1:] == ["Context", "Decision", "Consequences"]


# ----------------------------------------------------------------------------------------------------------- the links


def links(page: Path) -> Iterator[str]:
    yield from LINK.findall(without_code(page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """What can be linked to in a page, as GitHub names it."""
    words = page.read_text(encoding="utf-8")
    named = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(words)}
    return named | set(re.findall(r'<a id="([^"]+)">', words))


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if "://" in link:
            assert link.startswith("https://")
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.is_file(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, ahead = set[Path](), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached:
            reached.add(page)
            ahead += [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if ".md" in link]
    assert [name_of(page) for page in pages() if page not in reached] == []


# ------------------------------------------------------------------------------------------------------------ the data


@pytest.mark.parametrize("example", TOMLS)
def test_an_example_of_a_configuration_is_valid(example: str, tmp_path: Path) -> None:
    (tmp_path / "responder.toml").write_text(example, encoding="utf-8")
    loaded = load({}, tmp_path)
    assert app.build_channels(loaded)
    app.build_receive(loaded.settings, app.build_sources())


def test_the_example_file_holds_comments_only() -> None:
    assert tomllib.loads(text("responder.example.toml")) == {}


def test_the_example_file_has_the_defaults_when_every_hash_is_taken_away(tmp_path: Path) -> None:
    lines = [line.removeprefix("#") for line in text("responder.example.toml").splitlines() if line[:2] != "# "]
    (tmp_path / "responder.toml").write_text("\n".join(lines), encoding="utf-8")
    loaded = load({}, tmp_path)
    assert set(app.build_channels(loaded)) == set(load_kinds())
    default = Settings()
    for name in Settings.__struct_fields__:
        if name not in settings.open_tables() and name != "api_key":
            assert getattr(loaded.settings, name) == getattr(default, name)
    assert not loaded.settings.api_key


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_json_in_a_page_is_json(page: Path) -> None:
    for example in examples(page):
        if example.language == "json":
            json.loads(example.text)
