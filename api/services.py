"""What the handlers work with, put together once when the application starts."""

from dataclasses import dataclass

from adapters.object_store import ObjectStore
from adapters.sealing import Sealer
from adapters.signing import Signer
from api.sessions_gateway import SessionsGateway
from api.uploads_gateway import UploadsGateway
from api.views import AvatarViews
from database.accounts import Accounts
from database.avatars import Avatars
from database.sessions import Sessions
from runtime.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a handler may use."""

    settings: Settings
    accounts: Accounts
    avatars: Avatars
    sessions: Sessions
    store: ObjectStore
    signer: Signer
    sealer: Sealer
    gateway: SessionsGateway
    uploads: UploadsGateway
    views: AvatarViews

    @property
    def room_hosts(self) -> frozenset[str]:
        """The hosts that avatars may be sent to."""
        return frozenset(filter(None, (host.strip().lower() for host in self.settings.room_hosts.split(","))))
