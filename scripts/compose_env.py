"""Writes `.env` for docker-compose.yml: fresh secrets, never the same twice; what stands there is never changed."""  # noqa: INP001

from __future__ import annotations  # so that an older Python does as well: this may run where nothing else does

import base64
import os
import secrets
import sys
from pathlib import Path

ENV = Path(__file__).resolve().parents[1] / ".env"


def password() -> str:
    """A secret that needs no quoting in an address, in YAML or in this file: 192 bits in hexadecimal."""
    return secrets.token_hex(24)


def key() -> str:
    """A key as `GREENROOM_SERVER_KEYS` wants it: an id and 32 bytes."""
    return f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def wanted(present: dict[str, str]) -> dict[str, str]:
    """Every name that the compose file needs, with what is there already or a fresh secret."""
    values = {
        "POSTGRES_PASSWORD": password(),
        "POSTGRES_GREENROOM_PASSWORD": password(),
        "POSTGRES_TEMPORAL_PASSWORD": password(),
        "S3_ACCESS_KEY": f"greenroom{secrets.token_hex(6)}",
        "S3_SECRET_KEY": password(),
        "LIVEKIT_API_KEY": f"API{secrets.token_hex(6)}",
        "LIVEKIT_API_SECRET": password(),
        "GREENROOM_SERVER_KEYS": key(),
        "GREENROOM_SEALING_KEYS": key(),
        "GREENROOM_WEBHOOK_KEYS": key(),
        "GREENROOM_FIRST_API_KEY": f"gr_{secrets.token_urlsafe(32)}",
        **{name: value for name, value in present.items() if value},
    }
    owner = f"greenroom:{values['POSTGRES_GREENROOM_PASSWORD']}"
    values.setdefault("AVATAR_DATABASE_URL", f"postgresql+asyncpg://{owner}@postgres:5432/greenroom")
    return values


def read(path: Path) -> dict[str, str]:
    """The names and values of an env file; none where there is no file."""
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def write(path: Path, added: dict[str, str]) -> None:
    """Append lines, in a file that only its owner may read from its first byte on."""
    handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600)
    with os.fdopen(handle, "r+") as file:
        begun = file.read()
        file.write("\n" if begun and not begun.endswith("\n") else "")
        file.writelines(f"{name}={value}\n" for name, value in added.items())
    path.chmod(0o600)


def main() -> None:
    """`compose_env.py [FILE]`: make the file, or add what it lacks; prints names, never values."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ENV
    present = read(path)
    added = {name: value for name, value in wanted(present).items() if not present.get(name)}
    write(path, added)
    print(f"{path}: added {', '.join(added)}" if added else f"{path}: nothing was missing")  # noqa: T201
    print("The key of the account `local` (x-api-key) is its GREENROOM_FIRST_API_KEY.")  # noqa: T201


if __name__ == "__main__":
    main()
