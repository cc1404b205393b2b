"""The library of avatars on a real database and store: looked up, stored, registered, and undone."""

from pathlib import Path

import msgspec
import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.avatars import AvatarActivities
from adapters.object_store import ObjectMissing, ObjectStore, sha256_of
from contracts import steps
from contracts.portraits import AvatarRef, StoredObject, StoredPortrait
from domain.avatars import AspectRatio, original_key, portrait_key
from support.databases import Database, an_avatar

KEYPOINTS = ((1.5, 2.0), (3.0, 2.0), (2.0, 3.0), (1.75, 4.0), (2.75, 4.0))


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """An empty store."""
    return ObjectStore(f"file://{tmp_path / 'objects'}")


@pytest.fixture
def avatars(database: Database, store: ObjectStore) -> AvatarActivities:
    """The steps, on real parts."""
    return AvatarActivities(database.avatars, store)


async def staged(store: ObjectStore, profile: str) -> StoredPortrait:
    """A portrait as alignment stages it."""
    data, key = f"picture {profile}".encode(), f"staging/1/{profile.replace(':', 'x')}.jpg"
    stored = StoredObject(key=key, sha256=await store.put(key, data), size=len(data))
    return StoredPortrait(profile=profile, object=stored, width=1280, height=960, keypoints=KEYPOINTS)


async def made(avatars: AvatarActivities, store: ObjectStore, account_id: str, avatar_id: str) -> AvatarRef:
    """An avatar that was stored and registered."""
    portraits = tuple([await staged(store, profile) for profile in ("4:3", "preview")])
    stored = await avatars.store_avatar(steps.StoreAvatarInput(avatar_id=avatar_id, portraits=portraits))
    ref = AvatarRef(avatar_id=avatar_id, primary=AspectRatio.LANDSCAPE, portraits=stored.portraits)
    source = sha256_of(avatar_id.encode())
    await avatars.register_avatar(steps.RegisterAvatarInput(avatar=ref, account_id=account_id, source_sha256=source))
    return ref


async def test_a_registered_avatar_is_resolved_as_it_was_made(
    database: Database, store: ObjectStore, avatars: AvatarActivities
) -> None:
    """Pictures, hashes and keypoints cross the database unchanged, and lie in the avatar's own place."""
    account_id = await database.account()
    ref = await made(avatars, store, account_id, "avat_1")
    found = await avatars.resolve_avatar(steps.ResolveAvatarInput(account_id=account_id, avatar_id="avat_1"))
    assert found.primary == ref.primary
    assert {p.profile: p for p in found.portraits} == {p.profile: p for p in ref.portraits}
    portrait = found.portrait("4:3")
    assert portrait.object.key == "avatars/avat_1/4x3.jpg"
    assert portrait.keypoints == KEYPOINTS
    assert await store.get(portrait.object.key, portrait.object.sha256) == b"picture 4:3"


async def test_each_step_can_be_repeated(database: Database, store: ObjectStore, avatars: AvatarActivities) -> None:
    """A crash runs a local step again: the second time changes nothing."""
    account_id = await database.account()
    assert await made(avatars, store, account_id, "avat_1") == await made(avatars, store, account_id, "avat_1")
    _, mine = await database.avatars.listed_for(account_id)
    assert [avatar.avatar_id for avatar in mine] == ["avat_1"]


@pytest.mark.parametrize(
    ("avatar_id", "code"), [("avat_foreign", "AVATAR_ACCESS_DENIED"), ("avat_nobody", "AVATAR_NOT_FOUND")]
)
async def test_an_avatar_that_may_not_be_used_is_refused_for_good(
    database: Database, avatars: AvatarActivities, avatar_id: str, code: str
) -> None:
    """The step is not tried again: the answer would be the same."""
    await database.avatar(await database.account(), "avat_foreign")
    asked = steps.ResolveAvatarInput(account_id=await database.account(seconds=1), avatar_id=avatar_id)
    with pytest.raises(ApplicationError) as caught:
        await avatars.resolve_avatar(asked)
    assert (caught.value.type, caught.value.non_retryable) == (code, True)


async def test_a_portrait_that_is_still_being_made_is_worth_another_attempt(
    database: Database, avatars: AvatarActivities
) -> None:
    """An avatar is registered with what its upload waited for; the other profiles follow."""
    account_id = await database.account()
    asked = steps.ResolveAvatarInput(
        account_id=account_id, avatar_id=await database.avatar(account_id), aspect_ratio=AspectRatio.PORTRAIT
    )
    with pytest.raises(ApplicationError, match="3:4") as caught:
        await avatars.resolve_avatar(asked)
    assert (caught.value.type, caught.value.non_retryable) == ("TEMPORARILY_UNAVAILABLE", False)
    assert caught.value.category == ApplicationErrorCategory.BENIGN  # no stack trace in the log: nothing is wrong
    portrait = an_avatar("avat_any").portraits["4:3"]
    await database.avatars.add_portraits(asked.avatar_id, {AspectRatio.PORTRAIT: portrait})
    assert (await avatars.resolve_avatar(asked)).portrait("3:4").object.key == portrait.key


async def test_public_avatars_are_everybodys(database: Database, avatars: AvatarActivities) -> None:
    """They have no account."""
    asked = steps.ResolveAvatarInput(account_id=await database.account(), avatar_id=await database.avatar())
    assert (await avatars.resolve_avatar(asked)).avatar_id == asked.avatar_id


async def test_a_staged_picture_that_changed_is_not_stored(store: ObjectStore, avatars: AvatarActivities) -> None:
    """What was judged is what is stored: other bytes at the same key are trouble of ours, worth another attempt."""
    portrait = await staged(store, "4:3")
    await store.put(portrait.object.key, b"another picture")
    with pytest.raises(ApplicationError) as caught:
        await avatars.store_avatar(steps.StoreAvatarInput(avatar_id="avat_1", portraits=(portrait,)))
    assert (caught.value.type, caught.value.non_retryable) == ("TEMPORARILY_UNAVAILABLE", False)
    with pytest.raises(ObjectMissing):
        await store.get(portrait_key("avat_1", "4:3"))


async def test_an_avatar_of_a_failed_create_is_forgotten_with_its_pictures(
    database: Database, store: ObjectStore, avatars: AvatarActivities
) -> None:
    """However far it came: registered, only stored, or not at all."""
    account_id = await database.account()
    kept = await made(avatars, store, account_id, "avat_10")
    ref = await made(avatars, store, account_id, "avat_1")
    # The create was admitted with it, and failed afterwards.
    session_id, _ = await database.admit(account_id, "avat_1")
    await database.sessions.end(session_id, "ROOM_UNREACHABLE")
    for _ in range(2):
        await avatars.forget_avatar(steps.ForgetAvatarInput(avatar_id="avat_1"))
    assert await database.avatars.get("avat_1") is None
    with pytest.raises(ObjectMissing):
        await store.get(ref.portrait("4:3").object.key)
    assert await store.get(kept.portrait("4:3").object.key)
    await store.put("avatars/avat_2/4x3.jpg", b"stored, never registered")
    await avatars.forget_avatar(steps.ForgetAvatarInput(avatar_id="avat_2"))
    with pytest.raises(ObjectMissing):
        await store.get("avatars/avat_2/4x3.jpg")


async def test_an_avatar_that_a_session_shows_is_not_forgotten(
    database: Database, store: ObjectStore, avatars: AvatarActivities
) -> None:
    """Neither its row nor its pictures, while the session is starting, runs, or once did."""
    account_id = await database.account()
    ref = await made(avatars, store, account_id, "avat_1")
    await database.server()
    session_id, _ = await database.admit(account_id, "avat_1")
    await database.leases.claim(session_id, 1)
    for change in ("starting", "started", "ended"):
        if change == "started":
            await database.sessions.start(session_id, 1, None, 3600)
        if change == "ended":
            await database.sessions.end(session_id, "expired")
        await avatars.forget_avatar(steps.ForgetAvatarInput(avatar_id="avat_1"))
        assert await database.avatars.get("avat_1") is not None, change
        assert await store.get(ref.portrait("4:3").object.key), change


async def test_what_an_upload_stores_after_a_deletion_is_undone(
    database: Database, store: ObjectStore, avatars: AvatarActivities
) -> None:
    """Its further portraits find no avatar, and go; but not while a session shows the avatar."""
    account_id = await database.account()
    ref = await made(avatars, store, account_id, "avat_1")
    session_id, _ = await database.admit(account_id, "avat_1")
    await database.avatars.mark_deleted("avat_1", account_id)
    late = steps.StoreAvatarInput(avatar_id="avat_1", portraits=(await staged(store, "3:4"),))
    further = (await avatars.store_avatar(late)).portraits
    with pytest.raises(ApplicationError) as caught:
        await avatars.add_portraits(steps.AddPortraitsInput(avatar_id="avat_1", portraits=further))
    assert (caught.value.type, caught.value.non_retryable) == ("AVATAR_NOT_FOUND", True)
    await avatars.forget_avatar(steps.ForgetAvatarInput(avatar_id="avat_1"))
    assert await store.get(ref.portrait("4:3").object.key)
    await database.sessions.end(session_id, "expired")
    await avatars.forget_avatar(steps.ForgetAvatarInput(avatar_id="avat_1"))
    for key in (ref.portrait("4:3").object.key, further[0].object.key):
        with pytest.raises(ObjectMissing):
            await store.get(key)


async def test_discarding_takes_only_what_was_staged_for_this_create(
    store: ObjectStore, avatars: AvatarActivities
) -> None:
    """And can be repeated."""
    await store.put("staging/1/source", b"x")
    await store.put("staging/2/source", b"x")
    for _ in range(2):
        await avatars.discard_staged(steps.DiscardStagedInput(staging_prefix="staging/1"))
    with pytest.raises(ObjectMissing):
        await store.get("staging/1/source")
    assert await store.get("staging/2/source") == b"x"


@pytest.mark.parametrize("keep", [True, False])
async def test_an_original_is_kept_only_if_the_settings_say_so(
    database: Database, store: ObjectStore, *, keep: bool
) -> None:
    """It lies beside the portraits, and goes with them."""
    avatars = AvatarActivities(database.avatars, store, keep_originals=keep)
    original = (await staged(store, "4:3")).object
    asked = steps.StoreAvatarInput(avatar_id="avat_1", portraits=(await staged(store, "preview"),), original=original)
    await avatars.store_avatar(asked)
    kept = original_key("avat_1")
    if keep:
        assert await store.get(kept) == await store.get(original.key)
        await avatars.forget_avatar(steps.ForgetAvatarInput(avatar_id="avat_1"))
    with pytest.raises(ObjectMissing):
        await store.get(kept)


async def test_a_picture_is_known_by_its_first_avatar(
    database: Database, store: ObjectStore, avatars: AvatarActivities
) -> None:
    """A repeat of the first finds itself, a twin finds the first, and both are recognised as it."""
    account_id = await database.account()
    first = await made(avatars, store, account_id, "avat_1")
    source = sha256_of(b"avat_1")
    for avatar_id, known in (("avat_1", None), ("avat_2", "avat_1")):
        ref = msgspec.structs.replace(first, avatar_id=avatar_id)
        asked = steps.RegisterAvatarInput(avatar=ref, account_id=account_id, source_sha256=source)
        assert await avatars.register_avatar(asked) == steps.RegisterAvatarResult(avatar_id=known)
    wanted = steps.RecognisePictureInput(account_id=account_id, source_sha256=source)
    assert (await avatars.recognise_picture(wanted)).avatar_id == "avat_1"
