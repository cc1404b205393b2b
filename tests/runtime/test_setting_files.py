"""Settings by file, as a container's secrets are given."""

from pathlib import Path

import pytest

from runtime.settings import SettingsError, load_settings, payload_keys
from support.api_system import settings_in

SECRET = "redis://:a-password-of-a-test@counts:6379/0"


def written(folder: Path, text: str | bytes) -> str:
    """A file's name."""
    path = folder / "a_secret"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_setting_may_stand_in_a_file(tmp_path: Path, end: str) -> None:
    """The file's text is the value, without the line end that an editor leaves."""
    environ = {"GREENROOM_RATE_LIMIT_URL_FILE": written(tmp_path, SECRET + end), "GREENROOM_PORT": "9"}
    found = load_settings(environ)
    assert (found.rate_limit_url, found.port) == (SECRET, 9)


def test_a_variable_without_a_file_name_is_not_set(tmp_path: Path) -> None:
    """An empty variable is none, as for every setting."""
    environ = {"GREENROOM_RATE_LIMIT_URL_FILE": "", "GREENROOM_RATE_LIMIT_URL": SECRET}
    assert load_settings(environ).rate_limit_url == SECRET


def test_a_setting_twice_is_refused(tmp_path: Path) -> None:
    """Nobody could say which of the two counts."""
    environ = {"GREENROOM_RATE_LIMIT_URL_FILE": written(tmp_path, SECRET), "GREENROOM_RATE_LIMIT_URL": SECRET}
    with pytest.raises(SettingsError, match="both set") as caught:
        load_settings(environ)
    assert "a-password" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("GREENROOM_RATE_LIMIT_URL_FILE", None, "cannot be read"),
        ("GREENROOM_RATE_LIMIT_URL_FILE", b"\xff\xfe", "is no text"),
        ("GREENROOM_RATE_LIMIT_URL_FILE", "a-password", "GREENROOM_RATE_LIMIT_URL is wrong"),
        ("GREENROOM_RATE_LIMIT_ADDRESS_FILE", "a-password", "unknown settings: GREENROOM_RATE_LIMIT_ADDRESS"),
    ],
)
def test_a_file_that_does_not_do_is_named(tmp_path: Path, variable: str, text: str | bytes | None, said: str) -> None:
    """A missing file, one that is no text, a wrong value and a typing error are told; none shows what it read."""
    name = str(tmp_path / "missing") if text is None else written(tmp_path, text)
    with pytest.raises(SettingsError, match=said) as caught:
        load_settings({variable: name})
    assert "a-password" not in str(caught.value)


def test_keys_of_payloads_may_stand_in_a_file_too(tmp_path: Path) -> None:
    """Whoever connects to Temporal asks for them apart, and finds them there."""
    keys = settings_in(tmp_path).server_keys
    assert payload_keys({"GREENROOM_PAYLOAD_KEYS_FILE": written(tmp_path, keys)}) == {"k1": b"k" * 32}
    assert payload_keys({}) == {}
