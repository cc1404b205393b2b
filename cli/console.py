"""How tables reach people and files; decides nothing about what they say."""

from rich.console import Console
from rich.table import Table

WIDE = 240


def print_whole(table: Table) -> None:
    """Print a table; without a terminal nothing is cut or folded, since a key or link in two halves is of no use."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    console.print(table)
