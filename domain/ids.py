"""Ids: a prefix that names the kind, and a ULID. Built and recognised here; the random part comes from outside."""

SESSION_PREFIX = "sess_"
AVATAR_PREFIX = "avat_"
PUBLIC_AVATAR_PREFIX = "PUBLIC/"
ACCOUNT_PREFIX = "acct_"
LINK_PREFIX = "lnk_"
LONGEST = 200
"""Characters of an id."""


def session_id(ulid: str) -> str:
    """The session id of a ULID."""
    return SESSION_PREFIX + ulid


def avatar_id(ulid: str) -> str:
    """The avatar id of a ULID."""
    return AVATAR_PREFIX + ulid


def account_id(ulid: str) -> str:
    """The account id of a ULID."""
    return ACCOUNT_PREFIX + ulid


def link_id(ulid: str) -> str:
    """The link id of a ULID: 80 of its bits are random, for who knows the id can use the link."""
    return LINK_PREFIX + ulid


def is_link_id(text: str) -> bool:
    """Does the text name a link, by its prefix?"""
    return text.startswith(LINK_PREFIX) and _can_be_an_id(text)


def is_avatar_id(text: str) -> bool:
    """Does the text name an avatar, by its prefix? Real ids differ in length and alphabet."""
    return text.startswith((AVATAR_PREFIX, PUBLIC_AVATAR_PREFIX)) and _can_be_an_id(text)


def is_session_id(text: str) -> bool:
    """Does the text name a session, by its prefix?"""
    return text.startswith(SESSION_PREFIX) and _can_be_an_id(text)


def _can_be_an_id(text: str) -> bool:
    """No database takes every character (PostgreSQL no NUL), and none of those that it does not take can be seen."""
    return len(text) <= LONGEST and text.isprintable()
