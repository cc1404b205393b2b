"""Decoding and alignment between two visits to a real store, with the real decoder and detector."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.faces import FaceActivities
from activities.images import ImageActivities
from adapters.face_alignment import PortraitMaker
from adapters.image_decoding import ImageDecoder
from adapters.image_source import FetchLimits, PictureSource
from adapters.object_store import ObjectMissing, ObjectStore
from contracts import steps
from contracts.portraits import StoredObject
from domain.avatars import AspectRatio
from support import pictures
from support.picture_web import PUBLIC, picture_web, response

PREFIX = "staging/1"
SIZES = {"4:3": (1280, 960), "3:4": (960, 1280), "1:1": (1280, 1280), "preview": (500, 500), "image": (1200, 1200)}


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """An empty store."""
    return ObjectStore(f"file://{tmp_path}")


@pytest.fixture(scope="module")
async def decoder() -> AsyncIterator[ImageDecoder]:
    """The real decoder, its processes kept."""
    decoder = ImageDecoder()
    yield decoder
    await decoder.aclose()


async def staged(store: ObjectStore, data: bytes) -> steps.DecodeImageInput:
    """A picture as the API stages it."""
    key = f"{PREFIX}/source"
    stored = StoredObject(key=key, sha256=await store.put(key, data), size=len(data))
    return steps.DecodeImageInput(source=stored, staging_prefix=PREFIX)


def alignment(decoded: steps.DecodeImageResult) -> steps.AlignFaceInput:
    """The step after decoding, as the workflow asks for it."""
    return steps.AlignFaceInput(
        picture=decoded.picture,
        staging_prefix=PREFIX,
        source_width=decoded.source_width,
        source_height=decoded.source_height,
    )


async def test_a_photograph_becomes_portraits_in_every_shape(
    store: ObjectStore, decoder: ImageDecoder, portrait_maker: PortraitMaker
) -> None:
    """Each is staged under this create's prefix, has its size, its hash and five keypoints inside it."""
    decoded = await ImageActivities(PictureSource(), decoder, store).decode_image(
        await staged(store, pictures.astronaut())
    )
    assert (decoded.source_format, decoded.source_width, decoded.source_height) == ("PNG", 512, 512)
    faces = FaceActivities(portrait_maker, store)
    aligned = await faces.align_face(alignment(decoded))
    assert (aligned.primary, aligned.measures.faces) == ("1:1", 1)
    assert [p.profile for p in aligned.portraits] == ["1:1", "preview", "image"]
    further = steps.CutPortraitsInput(
        picture=decoded.picture, keypoints=aligned.keypoints, profiles=("4:3", "3:4"), staging_prefix=PREFIX
    )
    cut = await faces.cut_portraits(further)
    made = (*aligned.portraits, *cut.portraits)
    assert {p.profile: (p.width, p.height) for p in made} == SIZES
    for portrait in made:
        assert portrait.object.key.startswith(f"{PREFIX}/")
        data = await store.get(portrait.object.key, portrait.object.sha256)
        assert len(data) == portrait.object.size
        assert pictures.picture(data).size == (portrait.width, portrait.height)
        assert len(portrait.keypoints) == 5
        assert all(0 < x < portrait.width and 0 < y < portrait.height for x, y in portrait.keypoints)


async def test_what_is_wanted_at_once_is_cut_at_once(
    store: ObjectStore, decoder: ImageDecoder, portrait_maker: PortraitMaker
) -> None:
    """A session shows the shape that it asked for, whichever fits the source; cut later it is the same picture."""
    decoded = await ImageActivities(PictureSource(), decoder, store).decode_image(
        await staged(store, pictures.astronaut())
    )
    faces = FaceActivities(portrait_maker, store)
    wanted = msgspec.structs.replace(alignment(decoded), wanted=(AspectRatio.PORTRAIT,))
    aligned = await faces.align_face(wanted)
    assert [p.profile for p in aligned.portraits] == ["3:4", "1:1", "preview", "image"]
    later = await faces.cut_portraits(
        steps.CutPortraitsInput(
            picture=decoded.picture, keypoints=aligned.keypoints, profiles=("3:4",), staging_prefix=PREFIX
        )
    )
    assert later.portraits == aligned.portraits[:1]


async def test_a_repeated_step_writes_the_same_objects(
    store: ObjectStore, decoder: ImageDecoder, portrait_maker: PortraitMaker
) -> None:
    """A second attempt finds the first one's place, and its references stay true."""
    images, faces = ImageActivities(PictureSource(), decoder, store), FaceActivities(portrait_maker, store)
    wanted = await staged(store, pictures.astronaut())
    first, second = await images.decode_image(wanted), await images.decode_image(wanted)
    # How long it took is the only difference.
    assert msgspec.structs.replace(first, stage_ms=second.stage_ms) == second
    one, other = await asyncio.gather(faces.align_face(alignment(first)), faces.align_face(alignment(first)))
    assert msgspec.structs.replace(one, stage_ms=other.stage_ms) == other
    for portrait in one.portraits:
        assert await store.get(portrait.object.key, portrait.object.sha256)


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"no picture at all", "IMAGE_TYPE_UNSUPPORTED"), (pictures.astronaut()[:5000], "IMAGE_DAMAGED")],
)
async def test_a_picture_that_cannot_be_read_is_refused_for_good(
    store: ObjectStore, decoder: ImageDecoder, data: bytes, code: str
) -> None:
    """A third attempt would read the same bytes."""
    with pytest.raises(ApplicationError) as caught:
        await ImageActivities(PictureSource(), decoder, store).decode_image(await staged(store, data))
    assert (caught.value.type, caught.value.non_retryable) == (code, True)


@pytest.mark.parametrize(
    ("data", "code", "faces"), [(pictures.no_face(), "NO_FACE", 0), (pictures.two_faces(), "SEVERAL_FACES", 2)]
)
async def test_a_face_that_cannot_be_used_is_refused_with_what_was_measured(
    store: ObjectStore, decoder: ImageDecoder, portrait_maker: PortraitMaker, data: bytes, code: str, faces: int
) -> None:
    """The verdict's code is final, its measures cross Temporal as plain JSON, and no portrait was staged."""
    decoded = await ImageActivities(PictureSource(), decoder, store).decode_image(await staged(store, data))
    with pytest.raises(ApplicationError) as caught:
        await FaceActivities(portrait_maker, store).align_face(alignment(decoded))
    assert (caught.value.type, caught.value.non_retryable) == (code, True)
    details = caught.value.details[0]
    assert details["faces"] == faces
    assert {type(value) for value in details.values()} <= {int, float, str, list}
    for profile in ("4x3", "3x4", "1x1", "preview"):
        with pytest.raises(ObjectMissing):
            await store.get(f"{PREFIX}/{profile}.jpg")


async def test_a_store_that_lost_the_picture_is_worth_another_attempt(
    store: ObjectStore, decoder: ImageDecoder, portrait_maker: PortraitMaker
) -> None:
    """That is no fault of the picture's."""
    gone = StoredObject(key=f"{PREFIX}/gone", sha256="0" * 64, size=1)
    decode = steps.DecodeImageInput(source=gone, staging_prefix=PREFIX)
    align = steps.AlignFaceInput(picture=gone, staging_prefix=PREFIX, source_width=9, source_height=9)
    for call in (
        ImageActivities(PictureSource(), decoder, store).decode_image(decode),
        FaceActivities(portrait_maker, store).align_face(align),
    ):
        with pytest.raises(ApplicationError) as caught:
            await call
        assert (caught.value.type, caught.value.non_retryable) == ("TEMPORARILY_UNAVAILABLE", False)


async def test_a_picture_behind_an_address_is_staged(store: ObjectStore, decoder: ImageDecoder) -> None:
    """What the host sent, byte for byte; the address itself was staged, and stands in no history."""
    async with picture_web() as web:
        web.answers["/face.png?key=secret"] = response(200, pictures.astronaut())
        source = PictureSource({f"{PUBLIC}:{web.port}"})
        address = f"http://{PUBLIC}:{web.port}/face.png?key=secret"
        fetched = await ImageActivities(source, decoder, store).fetch_image(await staged_address(store, address))
        await source.aclose()
    assert await store.get(fetched.picture.key, fetched.picture.sha256) == pictures.astronaut()
    assert fetched.picture.size == len(pictures.astronaut())
    assert "secret" not in repr(fetched)


@pytest.mark.parametrize(
    ("status", "code", "final"), [(404, "IMAGE_URL_UNUSABLE", True), (502, "IMAGE_URL_UNREACHABLE", False)]
)
async def test_a_host_that_fails_is_no_fault_of_ours(
    store: ObjectStore, decoder: ImageDecoder, status: int, code: str, *, final: bool
) -> None:
    """A refusal is final, trouble is worth another attempt, and neither leaves a stack trace in our log."""
    async with picture_web() as web:
        web.answers["/face.png"] = response(status)
        source = PictureSource({PUBLIC})
        asked = await staged_address(store, f"http://{PUBLIC}:{web.port}/face.png")
        with pytest.raises(ApplicationError) as caught:
            await ImageActivities(source, decoder, store).fetch_image(asked)
        await source.aclose()
    assert (caught.value.type, caught.value.non_retryable) == (code, final)
    assert caught.value.category == ApplicationErrorCategory.BENIGN
    assert "face.png" not in repr((caught.value.message, caught.value.details))


async def test_a_host_that_used_all_the_time_is_not_asked_again(store: ObjectStore, decoder: ImageDecoder) -> None:
    """Its trouble could be another day's, but a create has no time for three times as long."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        source = PictureSource({f"127.0.0.1:{port}"}, limits=FetchLimits(seconds=0.2))
        asked = await staged_address(store, f"http://127.0.0.1:{port}/face.png")
        with pytest.raises(ApplicationError) as caught:
            await ImageActivities(source, decoder, store).fetch_image(asked)
        await source.aclose()
    assert (caught.value.type, caught.value.non_retryable) == ("IMAGE_URL_UNREACHABLE", True)


async def staged_address(store: ObjectStore, address: str) -> steps.FetchImageInput:
    """An address as the API stages it."""
    key = f"{PREFIX}/address"
    stored = StoredObject(key=key, sha256=await store.put(key, address.encode()), size=len(address))
    return steps.FetchImageInput(address=stored, staging_prefix=PREFIX)
