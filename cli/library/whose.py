"""Which account an operator means; it makes none."""

from database.accounts import Accounts
from domain.failures import FailureCode, Refused


async def account_called(accounts: Accounts, name: str) -> str:
    """The id of the account of this id or name; Refused, with a sentence, where there is not exactly one."""
    found = await accounts.called(name)
    if not found:
        raise Refused(FailureCode.NOT_FOUND, f"there is no account {name}")
    if len(found) > 1:
        raise Refused(FailureCode.NOT_FOUND, f"several accounts are called {name}; say which: {', '.join(found)}")
    return found[0]


async def only_account(accounts: Accounts) -> str:
    """The id of the only account; Refused where there are none or several."""
    found = await accounts.first_two()
    if len(found) != 1:
        are = "are several accounts" if found else "is no account"
        raise Refused(FailureCode.NOT_FOUND, f"there {are}: say whose they are by --account or --public")
    return found[0]
