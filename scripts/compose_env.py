"""Writes what docker-compose.yml needs: fresh secrets below `secrets/`, a file each, and `.env`; it changes nothing."""  # noqa: INP001

from __future__ import annotations  # so that an older Python does as well: this may run where nothing else does

import base64
import os
import secrets
import sys
from pathlib import Path

ENV = Path(__file__).resolve().parents[1] / ".env"
SETTINGS = {"COMPOSE_PROFILES": "cpu"}
"""What `.env` begins with; `gpu` is the other choice."""


EMPTY = {"greenroom_payload_keys": ""}
"""Secrets that whoever wants one writes: they must be there all the same."""


def password() -> str:
    """A secret that needs no quoting in an address, in YAML or in this file: 192 bits in hexadecimal."""
    return secrets.token_hex(24)


def key() -> str:
    """A key as `GREENROOM_SERVER_KEYS` wants it: an id and 32 bytes."""
    return f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def wanted(present: dict[str, str]) -> dict[str, str]:
    """Every secret that the compose file names, with what is there already or a fresh one."""
    values = {
        "postgres_password": password(),
        "postgres_greenroom_password": password(),
        "postgres_temporal_password": password(),
        "s3_access_key": f"greenroom{secrets.token_hex(6)}",
        "s3_secret_key": password(),
        "livekit_api_key": f"API{secrets.token_hex(6)}",
        "livekit_api_secret": password(),
        "grafana_password": password(),
        "greenroom_server_keys": key(),
        "greenroom_sealing_keys": key(),
        "greenroom_webhook_keys": key(),
        "greenroom_codec_token": password(),
        "greenroom_first_api_key": f"gr_{secrets.token_urlsafe(32)}",
        **{name: value for name, value in present.items() if value},
    }
    database = f"postgresql+asyncpg://greenroom:{values['postgres_greenroom_password']}@postgres:5432/greenroom"
    counts = password()
    derived = {"greenroom_database_url": database, "avatar_database_url": database}
    if not {"valkey_acl", "rate_limit_url"} <= values.keys():  # the password of both is one
        values["valkey_acl"] = f"user default on >{counts} ~* &* +@all"
        values["rate_limit_url"] = f"redis://:{counts}@valkey:6379/0"
    return {**EMPTY, **derived, **values}


def read(path: Path) -> dict[str, str]:
    """The names and values of an env file; none where there is no file."""
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def read_secrets(folder: Path) -> dict[str, str]:
    """The secrets that are there, by their files' names."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {file.name: file.read_text().strip() for file in files if file.is_file()}


def append(path: Path, added: dict[str, str]) -> None:
    """Append settings to an env file that only its owner may read."""
    handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600)
    with os.fdopen(handle, "r+") as file:
        begun = file.read()
        file.write("\n" if begun and not begun.endswith("\n") else "")
        file.writelines(f"{name}={value}\n" for name, value in added.items())
    path.chmod(0o600)


def write_secrets(folder: Path, added: dict[str, str]) -> None:
    """A file for each. Nobody else gets into the folder; the files can be read by whoever a container runs as."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    for name, value in added.items():
        file = folder / name
        file.write_text(value)
        file.chmod(0o444)


def main() -> None:
    """`compose_env.py [FILE]`: make the file, and `secrets/` beside it, or add what they lack; prints names alone.

    Secrets that an older version kept in the env file are taken from there.
    """
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ENV
    folder = path.parent / "secrets"
    env, present = read(path), read_secrets(folder)
    known = wanted({})
    older = {name: env[name.upper()] for name in known if env.get(name.upper())}
    every = wanted({**older, **{name: value for name, value in present.items() if value}})
    settled = {name for name, value in present.items() if value or name in EMPTY}
    added = {name: value for name, value in every.items() if name not in settled}
    settings = {name: value for name, value in SETTINGS.items() if not env.get(name)}
    write_secrets(folder, added)
    if settings:
        append(path, settings)
    names = ", ".join([*added, *settings])
    print(f"{path}, {folder}: added {names}" if names else f"{path}, {folder}: nothing was missing")  # noqa: T201
    print(f"The key of the account `local` (x-api-key) is in {folder / 'greenroom_first_api_key'}.")  # noqa: T201


if __name__ == "__main__":
    main()
