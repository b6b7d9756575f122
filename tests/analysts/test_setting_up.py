"""A key switches the model on; what can't work refuses to start."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_responder import app
from mcp_responder.analysts.claude import ClaudeAnalyst
from mcp_responder.model.errors import Misconfigured
from mcp_responder.settings import Settings, load
from mcp_responder.storage.memory import MemoryStore
from tests.channels.server import scripted_server
from tests.claude_server import draft, says


def read(folder: Path, text: str = "", **environment: str) -> Settings:
    (folder / "responder.toml").write_text(text)
    return load(environment, folder).settings


def claude(settings: Settings) -> ClaudeAnalyst | None:
    return app.build_claude(settings, MemoryStore(app.clock))


def test_without_a_key_there_is_no_model(tmp_path: Path) -> None:
    assert claude(read(tmp_path)) is None
    assert claude(read(tmp_path, ANTHROPIC_API_KEY="")) is None


def test_the_key_may_stand_in_either_variable_or_the_file(tmp_path: Path) -> None:
    for settings in (
        read(tmp_path, ANTHROPIC_API_KEY="sk-1"),
        read(tmp_path, RESPONDER_ANALYSIS__CLAUDE__API_KEY="sk-1", ANTHROPIC_API_KEY="sk-2"),
        read(tmp_path, '[analysis.claude]\napi_key = "sk-1"', ANTHROPIC_API_KEY="sk-2"),
        read(tmp_path, '[analysis.claude]\napi_key = ""', ANTHROPIC_API_KEY="sk-1"),
    ):
        assert settings.analysis.claude.api_key.reveal() == "sk-1"
        assert claude(settings)


def test_the_origin_of_the_key_is_told_and_the_key_isnt(tmp_path: Path) -> None:
    loaded = load({"ANTHROPIC_API_KEY": "sk-1"}, tmp_path)
    assert loaded.origins["analysis.claude.api_key"] == "ANTHROPIC_API_KEY"
    assert "sk-1" not in repr(loaded)


def test_bedrock_doesnt_get_anthropics_key(tmp_path: Path) -> None:
    text = '[analysis.claude]\nbedrock_region = "eu-central-1"'
    settings = read(tmp_path, text, ANTHROPIC_API_KEY="sk-1")
    assert not settings.analysis.claude.api_key


def test_bedrock_needs_a_key_or_boto3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(tmp_path, '[analysis.claude]\nbedrock_region = "eu-central-1"')
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Misconfigured, match="API key of Bedrock"):
        claude(settings)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "x")
    assert claude(settings)


def test_a_model_without_a_price_refuses_to_start(tmp_path: Path) -> None:
    text = '[analysis.claude]\napi_key = "sk-1"\n[analysis.claude.models]\nlow = "new-9"\n'
    with pytest.raises(Misconfigured, match="the price of 'new-9' isn't known"):
        claude(read(tmp_path, text))
    price = '[analysis.claude.prices."new-9"]\ninput = 1\noutput = 2\ncache_read = 0\ncache_write = 0\n'
    assert claude(read(tmp_path, text + price))


def test_a_wrong_table_is_a_mistake_of_its_own(tmp_path: Path) -> None:
    for text in ("analysis = 3", "[analysis]\nclaude = 3", '[analysis.claude]\nmodel = "x"'):
        with pytest.raises(Misconfigured):
            read(tmp_path, text, ANTHROPIC_API_KEY="sk-1")


def test_offline_means_that_nobody_is_asked(tmp_path: Path) -> None:
    case = tmp_path / "alert.json"
    case.write_text('{"title": "cart is down", "message": "connect ECONNREFUSED db.internal:5432", "severity": "HIGH"}')
    with scripted_server() as server:
        server.script(says(draft()))
        settings = read(tmp_path, f'[analysis.claude]\napi_key = "sk-1"\nbase_url = "{server.url}"')
        assert app.analyze(case, settings, offline=True).made_by.analyst == "rules"
        assert server.asked == []
        assert app.analyze(case, settings, offline=False).made_by.analyst == "claude"
        assert len(server.asked) == 1
