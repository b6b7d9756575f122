"""``KeyStore``: API keys without their secrets."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from mcp_responder.model.errors import Conflict
from mcp_responder.ports import ApiKey
from tests.contract.alarms import Store
from tests.contract.clock import START

KEY = ApiKey(name="ci", hash="a" * 64, scopes=("ingest",), created_at=START)


def test_there_are_no_keys_at_first(store: Store) -> None:
    assert store.keys() == ()


def test_a_key_is_kept_whole(store: Store) -> None:
    key = replace(KEY, scopes=("read", "write"), expires_at=START + timedelta(days=90), per_minute=600)
    store.put_key(key)
    assert store.keys() == (key,)


def test_keys_are_listed_by_name(store: Store) -> None:
    for number, name in enumerate(("web", "ci", "mcp")):
        store.put_key(replace(KEY, name=name, hash=str(number) * 64))
    assert [key.name for key in store.keys()] == ["ci", "mcp", "web"]


def test_putting_a_key_again_overwrites_the_one_with_this_hash(store: Store) -> None:
    store.put_key(KEY)
    store.put_key(replace(KEY, scopes=("read",)))
    assert [key.scopes for key in store.keys()] == [("read",)]


def test_a_rotation_leaves_both_keys_of_the_name(store: Store) -> None:
    store.put_key(KEY)
    old = replace(KEY, replaced=True, expires_at=START + timedelta(days=1))
    new = replace(KEY, hash="b" * 64)
    store.put_key(old)
    store.put_key(new)
    assert {key.hash: key for key in store.keys()} == {old.hash: old, new.hash: new}


def test_a_second_key_of_a_name_in_use_is_a_conflict(store: Store) -> None:
    store.put_key(KEY)
    with pytest.raises(Conflict):
        store.put_key(replace(KEY, hash="b" * 64))
    assert store.keys() == (KEY,)


def test_a_replaced_key_cannot_come_back_beside_the_new_one(store: Store) -> None:
    store.put_key(replace(KEY, replaced=True))
    store.put_key(replace(KEY, hash="b" * 64))
    with pytest.raises(Conflict):
        store.put_key(KEY)
    assert sum(not key.replaced for key in store.keys()) == 1


def test_deleting_forgets_all_keys_of_the_name_and_tells_how_many(store: Store) -> None:
    store.put_key(replace(KEY, replaced=True))
    store.put_key(replace(KEY, hash="b" * 64))
    other = replace(KEY, name="web", hash="c" * 64)
    store.put_key(other)
    assert store.delete_keys("ci") == 2
    assert store.keys() == (other,)
    assert store.delete_keys("ci") == 0


def test_a_deleted_name_is_free_again(store: Store) -> None:
    store.put_key(KEY)
    store.delete_keys("ci")
    store.put_key(replace(KEY, hash="b" * 64))
    assert [key.hash for key in store.keys()] == ["b" * 64]
