"""Which keys are taken for secrets, and what is shown in the place of their values."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from rl_app.masking import is_secret, masked, masked_text, masked_word, masks
from rl_app.storage.directory import DirectoryStore


@pytest.mark.parametrize(
    "key",
    [
        *("password", "db_password", "DB_PASSWORD", "passwd", "client_secret", "token", "auth.token", "hf-token"),
        *("api_key", "apikey", "apiKey", "APIKey", "API_KEY", "credentials", "private_key", "secretAccessKey"),
    ],
)
def test_a_secret_is_known_by_its_key(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize(
    "key", ["max_tokens", "tokenizer", "key", "key_dim", "api", "monkey", "passwordless", "secretary", "lr", "", 7]
)
def test_what_only_looks_alike_is_shown(key: object) -> None:
    assert not is_secret(key)


def test_secrets_are_masked_wherever_they_lie_and_the_rest_stays() -> None:
    value = {"a": [{"token": "T", "b": 1}], "credentials": {"user": "U"}, "c": (1, {"api_key": 5})}
    hidden = {"a": [{"token": "***", "b": 1}], "credentials": "***", "c": (1, {"api_key": "***"})}
    assert masked(value) == hidden
    assert value["credentials"] == {"user": "U"}
    assert list(masks(json.loads(json.dumps(masked(value))))) == ["token", "credentials", "api_key"]


def test_a_hyperparameter_is_masked_by_its_name_and_within_its_json() -> None:
    assert masked_text("config.env_config.password", "P") == "***"
    assert masked_text("config.env_config", '{"password": "P", "x": 1}') == '{"password": "***", "x": 1}'
    assert masked_text("config.lr", "1e-4") == "1e-4"
    assert masked_word('env_config={"token": "T"}') == 'env_config={"token": "***"}'
    assert masked_word("cartpole") == "cartpole"


def test_what_a_directory_store_is_told_to_write_is_for_its_user_alone(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.create("job/job.json", b"{}")
    assert stat.S_IMODE((tmp_path / "job/job.json").stat().st_mode) == 0o600
    store.write("job/job.json", b"{ }")
    assert stat.S_IMODE((tmp_path / "job/job.json").stat().st_mode) == 0o600
