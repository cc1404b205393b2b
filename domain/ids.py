"""Ids: a prefix that names the kind, and a ULID. Built and recognised here; the random part comes from outside."""

SESSION_PREFIX = "sess_"
AVATAR_PREFIX = "avat_"
PUBLIC_AVATAR_PREFIX = "PUBLIC/"
ACCOUNT_PREFIX = "acct_"


def session_id(ulid: str) -> str:
    """The session id of a ULID."""
    return SESSION_PREFIX + ulid


def avatar_id(ulid: str) -> str:
    """The avatar id of a ULID."""
    return AVATAR_PREFIX + ulid


def account_id(ulid: str) -> str:
    """The account id of a ULID."""
    return ACCOUNT_PREFIX + ulid


def is_avatar_id(text: str) -> bool:
    """Does the text name an avatar, by its prefix? Real ids differ in length, so nothing else is checked."""
    return text.startswith((AVATAR_PREFIX, PUBLIC_AVATAR_PREFIX)) and len(text) <= 200  # noqa: PLR2004
