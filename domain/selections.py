"""Sessions by what they have in common: whose they are, which key made them, what was noted with them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Sessions that have not ended. What is empty selects nothing away."""

    account_id: str = ""
    key_id: str = ""
    metadata_key: str = ""
    metadata_value: str = ""

    @property
    def title(self) -> str:
        """In words."""
        parts = [f"account {self.account_id}" if self.account_id else "", f"key {self.key_id}" if self.key_id else ""]
        parts.append(f"metadata {self.metadata_key}={self.metadata_value}" if self.metadata_key else "")
        return ", ".join(filter(None, parts))

    def fits(self, metadata: Mapping[str, Any]) -> bool:
        """Does a session's metadata fit? What is no text is compared as JSON writes it: `5`, `true`, `null`."""
        if not self.metadata_key:
            return True
        if self.metadata_key not in metadata:
            return False
        value = metadata[self.metadata_key]
        return (value if isinstance(value, str) else json.dumps(value)) == self.metadata_value
