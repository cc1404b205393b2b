"""A fresh system already has avatars: those that public clients ask for without being told to."""

from adapters.object_store import ObjectStore
from cli.library.builtin import BUILTIN
from database.avatars import Avatars
from support import pictures
from support.portrait_pictures import SAME_WITHIN, picture_distance
from support.real_system import RealSystem

DEFAULT_OF_LIVEKIT = "avat_01KMZJ4WE5QCD9G3EK21QW8NJK"


async def test_a_session_shows_an_avatar_that_nobody_uploaded(real_system: RealSystem) -> None:
    """The four are listed as public, with pictures; a viewer sees the one that LiveKit's plugin asks for."""
    listed = (await real_system.call("GET", "/v1/avatars")).json()["public_avatars"]
    public = {one["avatar_id"]: one for one in listed}
    assert public.keys() >= BUILTIN.keys()
    assert {tuple(one["tags"]) for one in listed} == {("public",)}
    for name, width in (("image_url", 1200), ("preview_url", 500)):
        answer = await real_system.http.get(public[DEFAULT_OF_LIVEKIT][name])
        assert pictures.pixels(answer.content).shape[1] == width
    avatar = await Avatars(real_system.engine).get(DEFAULT_OF_LIVEKIT)
    assert avatar is not None
    portrait = avatar.portraits["4:3"]
    stored = await ObjectStore(f"file://{real_system.folder / 'objects'}").get(portrait.key, portrait.sha256)
    async with real_system.live(DEFAULT_OF_LIVEKIT) as live:
        assert live.session["avatar"]["avatar_id"] == DEFAULT_OF_LIVEKIT
        distance = picture_distance(live.viewer.picture, pictures.pixels(stored))
    assert distance < SAME_WITHIN / 2
