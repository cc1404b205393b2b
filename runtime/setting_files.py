"""Settings that stand in files: `GREENROOM_<NAME>_FILE` names one that holds a setting; it knows no setting's name."""

from collections.abc import Mapping
from pathlib import Path

PREFIX = "GREENROOM_"
SUFFIX = "_FILE"


class SettingsError(Exception):
    """A setting is missing or wrong; the message names its variable, never its value."""


def with_files(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with what the files say in the place of their names, without a line end at their end.

    SettingsError where a file cannot be read, or a setting stands in the environment as well.
    """
    found = dict(environ)
    for variable in [name for name in environ if name.startswith(PREFIX) and name.endswith(SUFFIX)]:
        path, name = found.pop(variable), variable.removesuffix(SUFFIX)
        if not path:
            continue
        if found.get(name):
            raise SettingsError(f"{name} and {variable} are both set: one of them is enough")
        found[name] = _read(Path(path), variable)
    return found


def _read(path: Path, variable: str) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{variable} is wrong: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{variable} is wrong: {path} is no text") from None
    return text.rstrip("\r\n")
