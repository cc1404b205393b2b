"""The database role that docs/operations.md gives to each avatar server, as the statements that stand there."""

import re
from collections.abc import Sequence
from pathlib import Path

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
NAMES = ("avatar-1", "avatar-2")
SECRET = "of-an-avatar-server"


def documented(database_name: str, names: Sequence[str] = NAMES) -> list[str]:
    """The statements of the handbook, for this database and these servers."""
    (block,) = re.findall(r"```sql\n(CREATE ROLE greenroom_avatar.*?)```", OPERATIONS.read_text(), re.DOTALL)
    block = block.replace("DATABASE greenroom", f"DATABASE {database_name}").replace("CHANGE-ME", SECRET)
    *shared, own = [one.strip() for one in block.split(";") if one.strip()]
    return [*shared, *(own.replace(NAMES[0], name) for name in names)]
