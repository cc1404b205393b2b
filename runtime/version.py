"""Which release of this software is installed. It asks nobody but the installed package."""

from importlib.metadata import PackageNotFoundError, version


def software_version() -> str:
    """The package's version; empty where it is not installed."""
    try:
        return version("greenroom")
    except PackageNotFoundError:
        return ""
