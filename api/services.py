"""What the handlers work with, put together once when the application starts."""

from dataclasses import dataclass

from adapters.object_store import ObjectStore
from adapters.sealing import Sealer
from adapters.signing import Signer
from adapters.speech_synthesis import SpeechSynthesis
from api.managed_rooms import ManagedRooms
from api.pictures import SentPicture
from api.sessions_gateway import SessionsGateway
from api.uploads_gateway import UploadsGateway
from api.views import AvatarViews
from database.accounts import Accounts
from database.avatars import Avatars
from database.creates import Creates
from database.links import Links
from database.session_reading import SessionReading
from database.sessions import Sessions
from database.usage import UsageReading
from runtime.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a handler may use."""

    settings: Settings
    accounts: Accounts
    avatars: Avatars
    sessions: Sessions
    usage: UsageReading
    reading: SessionReading
    creates: Creates
    store: ObjectStore
    signer: Signer
    sealer: Sealer
    gateway: SessionsGateway
    uploads: UploadsGateway
    views: AvatarViews
    links: Links
    speech: SpeechSynthesis
    managed_rooms: ManagedRooms | None
    """None where the operator has set no LiveKit server."""

    async def avatar_of(self, sent: SentPicture, account_id: str) -> str | None:
        """The avatar that this account's same picture has become; None for what is new, or has yet to be fetched."""
        sha256 = sent.sha256  # once: it reads the whole picture
        return await self.avatars.recognise(account_id, sha256) if sha256 else None
