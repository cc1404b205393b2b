"""Settings come from one environment; what is wrong is named by its variable and never quoted."""

import base64
from pathlib import Path

import pytest

from runtime.settings import Settings, SettingsError, load_settings, parse_keys

SECRET = "hush-hush"
KEY = base64.b64encode(b"k" * 32).decode()
OTHER = base64.b64encode(b"o" * 32).decode()


def test_an_empty_environment_is_enough_to_start() -> None:
    """Everything has a default; what belongs to others is left alone."""
    assert load_settings({"PATH": "/bin", "TEMPORAL_ADDRESS": "t:7233"}) == Settings()


def test_each_field_has_its_variable() -> None:
    """Numbers, switches and texts are read as what they are."""
    found = load_settings(
        {
            "GREENROOM_PORT": "9090",
            "GREENROOM_NOBODY_JOINED_S": "1.5",
            "GREENROOM_FRAME_MARKER": "true",
            "GREENROOM_ROOM_HOSTS": "a.example,b.example",
            "GREENROOM_RUN": "a supervisor's mark",
        }
    )
    wanted = Settings(port=9090, nobody_joined_s=1.5, frame_marker=True, room_hosts="a.example,b.example")
    assert found == wanted


def test_an_empty_variable_is_not_set() -> None:
    """As compose files hand them on: an empty folder would be the working one, an empty port none."""
    empty = {f"GREENROOM_{name.upper()}": "" for name in Settings.__struct_fields__}
    assert load_settings(empty) == Settings()


def test_a_typing_error_in_a_name_is_seen() -> None:
    """Each unknown name is listed, also an empty one; values are not."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"GREENROOM_PROT": SECRET, "GREENROOM_HOTS": "", "GREENROOM_PORT": "80"})
    assert str(caught.value) == "unknown settings: GREENROOM_HOTS, GREENROOM_PROT"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GREENROOM_PORT", SECRET),
        ("GREENROOM_PORT", "65536"),
        ("GREENROOM_PORT", "-1"),
        ("GREENROOM_FACE_DEVICE", SECRET),
        ("GREENROOM_VIDEO_CODEC", SECRET),
        ("GREENROOM_LOG_LEVEL", SECRET),
        ("GREENROOM_FRAME_MARKER", SECRET),
        ("GREENROOM_REQUESTS_PER_MINUTE", "-1"),
        ("GREENROOM_VIDEO_FPS", "0"),
        ("GREENROOM_AVATAR_SLOTS", "0"),
        ("GREENROOM_AVATAR_SPARES", "-1"),
        ("GREENROOM_CREATE_WITHIN_S", "0"),
        ("GREENROOM_TEMPORAL_WAIT_S", "nan"),
        ("GREENROOM_PARTICIPANTS_LEFT_S", "inf"),
    ],
)
def test_a_wrong_value_is_named_and_not_quoted(variable: str, value: str) -> None:
    """The process refuses to start, in a sentence that may go into a log; so does its cause."""
    with pytest.raises(SettingsError) as caught:
        load_settings({variable: value})
    assert variable in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


def test_addresses_follow_the_data_folder_unless_they_are_given(tmp_path: Path) -> None:
    """Database and store lie in the folder; either can be anywhere else."""
    embedded = Settings(data_dir=str(tmp_path))
    assert embedded.database_address == f"sqlite+aiosqlite:///{tmp_path}/greenroom.db"
    assert embedded.storage_address == f"file://{tmp_path}/objects"
    elsewhere = Settings(database_url="postgresql+asyncpg://db/x", storage_url="s3://bucket")
    assert (elsewhere.database_address, elsewhere.storage_address) == ("postgresql+asyncpg://db/x", "s3://bucket")


S3 = {
    "GREENROOM_STORAGE_URL": "s3://bucket/prefix",
    "GREENROOM_STORAGE_ENDPOINT": "http://127.0.0.1:8333",
    "GREENROOM_STORAGE_ACCESS_KEY": "an-id",
    "GREENROOM_STORAGE_SECRET_KEY": SECRET,
}


def test_s3_needs_nothing_but_settings() -> None:
    """What the store is told of an S3 server; on AWS everything but the address may be left to botocore."""
    found = load_settings(S3)
    assert found.storage_address == "s3://bucket/prefix"
    assert found.storage_access == {
        "endpoint": "http://127.0.0.1:8333",
        "access_key": "an-id",
        "secret_key": SECRET,
        "region": "",
    }
    assert load_settings({"GREENROOM_STORAGE_URL": "s3://bucket"}).storage_access["endpoint"] == ""
    assert load_settings({}).storage_access == {}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"URL": ""}, "ENDPOINT"),
        ({"URL": "file:///objects"}, "URL"),
        ({"URL": "s3://"}, "URL"),
        ({"URL": "s3:///prefix"}, "URL"),
        ({"ACCESS_KEY": ""}, "ACCESS_KEY"),
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"ACCESS_KEY": "", "SECRET_KEY": "", "PUBLIC_ENDPOINT": "https://s3.example"}, "PUBLIC_ENDPOINT"),
        ({"ENDPOINT": "127.0.0.1:8333"}, "ENDPOINT"),
        ({"ENDPOINT": "ftp://host"}, "ENDPOINT"),
        ({"ENDPOINT": "http://"}, "ENDPOINT"),
        ({"ENDPOINT": "http://host:port"}, "ENDPOINT"),
        ({"ENDPOINT": f"http://user:{SECRET}@host"}, "ENDPOINT"),
        ({"PUBLIC_ENDPOINT": f"https://host/?token={SECRET}"}, "PUBLIC_ENDPOINT"),
    ],
)
def test_what_cannot_be_an_s3_server_stops_the_start(changes: dict[str, str], named: str) -> None:
    """Rather than the first picture; the variable is named and no value is quoted."""
    environ = {**S3, **{f"GREENROOM_STORAGE_{name}": text for name, text in changes.items()}}
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    assert f"GREENROOM_STORAGE_{named}" in str(caught.value)
    assert SECRET not in str(caught.value)


LIVEKIT = {
    "GREENROOM_LIVEKIT_URL": "ws://livekit:7880",
    "GREENROOM_LIVEKIT_API_KEY": "a-key",
    "GREENROOM_LIVEKIT_API_SECRET": SECRET,
}


def test_clients_reach_livekit_as_we_do_unless_another_address_is_given() -> None:
    """The public address is a setting of its own; without LiveKit there is none."""
    assert load_settings(LIVEKIT).public_livekit_url == "ws://livekit:7880"
    public = {**LIVEKIT, "GREENROOM_LIVEKIT_PUBLIC_URL": "wss://rooms.example"}
    assert load_settings(public).public_livekit_url == "wss://rooms.example"
    assert load_settings({}).public_livekit_url == ""


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"URL": ""}, "URL"),
        ({"API_KEY": ""}, "API_KEY"),
        ({"API_SECRET": ""}, "API_SECRET"),
        ({"URL": "", "API_KEY": "", "API_SECRET": "", "PUBLIC_URL": "wss://rooms.example"}, "PUBLIC_URL"),
        ({"URL": "livekit:7880"}, "URL"),
        ({"URL": "http://livekit:7880"}, "URL"),
        ({"PUBLIC_URL": f"wss://user:{SECRET}@rooms.example"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": f"wss://rooms.example/?token={SECRET}"}, "PUBLIC_URL"),
    ],
)
def test_what_cannot_be_a_livekit_server_stops_the_start(changes: dict[str, str], named: str) -> None:
    """Rather than the first room; the variable is named and no value is quoted."""
    environ = {**LIVEKIT, **{f"GREENROOM_LIVEKIT_{name}": text for name, text in changes.items()}}
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    assert named in str(caught.value)
    assert SECRET not in str(caught.value)


def test_settings_do_not_show_themselves() -> None:
    """A representation that gets into a log or an error holds no secret."""
    environ = {
        **S3,
        **LIVEKIT,
        "GREENROOM_SERVER_KEYS": f"k1:{KEY}",
        "GREENROOM_DATABASE_URL": f"postgresql://u:{SECRET}@db/x",
    }
    shown = f"{load_settings(environ)!r} {load_settings(environ)}"
    assert SECRET not in shown
    assert KEY not in shown


def test_a_relative_data_folder_is_made_absolute() -> None:
    """The folder stays the same when a process changes its own."""
    assert Settings().data_path == Path.cwd() / ".greenroom"


def test_the_public_address_is_where_the_api_listens_unless_it_is_given() -> None:
    """Without a slash at its end, since paths are added to it."""
    assert Settings(host="127.0.0.2", port=9).public_address == "http://127.0.0.2:9"
    assert Settings(public_url="https://api.example/").public_address == "https://api.example"


def test_keys_keep_their_order() -> None:
    """The newest comes first; spaces and a comma at the end do no harm."""
    keys = parse_keys(f" k2:{KEY} , k1:{OTHER},", "GREENROOM_SERVER_KEYS")
    assert list(keys.items()) == [("k2", b"k" * 32), ("k1", b"o" * 32)]


@pytest.mark.parametrize(
    "text",
    ["", " , ", KEY, f":{KEY}", "k1:", f"k1:{SECRET}", f"k1:{base64.b64encode(b'short').decode()}", f"k1:{KEY}!",
     f"k1:{KEY},k2:{SECRET}", "k1:ключ"],
)  # fmt: skip
def test_keys_that_are_no_keys_are_refused_without_being_shown(text: str) -> None:
    """A missing, short or mistyped key stops the process that needs it, and names the variable."""
    with pytest.raises(SettingsError) as caught:
        parse_keys(text, "GREENROOM_SERVER_KEYS")
    assert "GREENROOM_SERVER_KEYS" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("url", [f"http://:{SECRET}@counts:6379/0", f"redis://:{SECRET}/x@counts:y", "counts:6379"])
def test_a_store_of_rate_limits_is_a_valkey_or_redis(url: str) -> None:
    """Other addresses, and those that cannot be read, are named by their variable and not quoted."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"GREENROOM_RATE_LIMIT_URL": url})
    assert "GREENROOM_RATE_LIMIT_URL" in str(caught.value)
    assert SECRET not in str(caught.value)
    for good in ("redis://:pass@counts:6379/0", "rediss://counts", "valkey://counts:7000/2"):
        assert load_settings({"GREENROOM_RATE_LIMIT_URL": good}).rate_limit_url == good
