"""What operators can filter sessions by in the Temporal UI. Never encrypted by Temporal: no personal data here."""

from temporalio.common import SearchAttributeKey

ACCOUNT_ID = SearchAttributeKey.for_keyword("AccountId")
SESSION_STATE = SearchAttributeKey.for_keyword("SessionState")
AVATAR_SERVER = SearchAttributeKey.for_keyword("AvatarServer")
END_REASON = SearchAttributeKey.for_keyword("EndReason")

EVERY = (ACCOUNT_ID, SESSION_STATE, AVATAR_SERVER, END_REASON)
