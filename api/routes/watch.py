"""The watch page: an avatar's video in a browser, for whoever has a link. It loads nothing from another host."""

from html import escape
from typing import Annotated, Any
from urllib.parse import urlsplit

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import HeaderParameter, JSONBody, PathParameter

from api.link_sessions import held_session, running_session
from api.routes.shared import AWAY, BAD_REQUEST, SessionId
from api.services import Services
from api.static_files import static_file
from api.views import session_view
from contracts.http import ErrorView, PlainErrorView
from contracts.http_links import SpeakRequest, WatchedSession, WatchEnded
from contracts.session_workflow import EndSession
from domain.failures import FailureCode, Refused
from domain.session import SessionStatus

TOKEN_HEADER = "x-session-token"  # noqa: S105 - a header's name
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self' {room}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HARDENED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the page's own address is the link
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
SessionToken = Annotated[str | None, HeaderParameter(name=TOKEN_HEADER, description="As the start answered.")]

NOT_YOURS = ResponseSpec(PlainErrorView, description="Not the session's token")
NOT_NOW = ResponseSpec(ErrorView, description="The session has ended, or the request is not valid")


@get("/watch/{link_id:str}", include_in_schema=False, media_type="text/html")
async def watch_page(
    link_id: Annotated[str, PathParameter(description="The link.")], services: NamedDependency[Services]
) -> Response[str]:
    """The page. Whether the link is good for a session shows when one is started: looking at it costs no use."""
    link = await services.links.get(link_id)
    values = {
        "LINK": link.link_id if link else "",
        "NAME": (link.name if link else "") or "Live avatar",
        "SPEECH": "yes" if services.speech.available else "no",
        "RATIO": (link.aspect_ratio if link else "4:3").replace(":", "x"),
    }
    page = static_file("watch.html").content.decode()
    for name, value in values.items():
        page = page.replace(f"{{{{{name}}}}}", escape(value))
    headers = {
        **HARDENED,
        "Content-Security-Policy": POLICY.format(room=_room_sources(services.settings.public_livekit_url)),
        "Cache-Control": "no-store",
    }
    return Response(page, headers=headers, media_type="text/html", status_code=200 if link else 404)


@get("/watch/static/{name:path}", include_in_schema=False)
async def watch_file(
    name: Annotated[str, PathParameter(description="The file's name.")], request: Request[Any, Any, State]
) -> Response[bytes]:
    """A file of the page."""
    try:
        file = static_file(name.lstrip("/"))
    except KeyError:
        raise Refused(FailureCode.NOT_FOUND, "there is nothing at this address") from None
    headers = {**HARDENED, "ETag": file.etag, "Cache-Control": "public, max-age=300", "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(b"", status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.compressed, media_type=file.kind, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.content, media_type=file.kind, headers=headers)


@post(
    "/watch/sessions/{session_id:str}/speech",
    status_code=200,
    tags=["Links"],
    media_type="application/octet-stream",
    responses={400: NOT_NOW, 401: NOT_YOURS, 503: AWAY},
)
async def speak_text(
    session_id: SessionId,
    data: JSONBody[SpeakRequest],
    services: NamedDependency[Services],
    token: SessionToken = None,
) -> Response[bytes]:
    """A text as sound, for the page to send to the avatar: mono, 16 bits, little-endian, at the rate in the header."""
    await running_session(services, session_id, token)
    spoken = await services.speech.say(data.text)
    headers = {"X-Sample-Rate": str(spoken.rate), "Cache-Control": "no-store"}
    return Response(spoken.pcm, headers=headers, media_type="application/octet-stream")


@get("/watch/sessions/{session_id:str}", tags=["Links"], responses={400: BAD_REQUEST, 401: NOT_YOURS, 503: AWAY})
async def read_watched(
    session_id: SessionId, services: NamedDependency[Services], token: SessionToken = None
) -> Response[WatchedSession]:
    """Whether the session still runs, and until when: it may have been extended."""
    view = session_view(await held_session(services, session_id, token))
    known = WatchedSession(status=view.status, expiration=view.expiration, end_reason=view.end_reason)
    return Response(known, headers={"Cache-Control": "no-store"})


@post(
    "/watch/sessions/{session_id:str}/end",
    status_code=200,
    tags=["Links"],
    responses={400: BAD_REQUEST, 401: NOT_YOURS, 503: AWAY},
)
async def end_watched(
    session_id: SessionId, services: NamedDependency[Services], token: SessionToken = None
) -> WatchEnded:
    """End the session; safe to repeat."""
    session = await held_session(services, session_id, token)
    if session.status != SessionStatus.ENDED:
        await services.gateway.end(session_id, EndSession())
        session = await held_session(services, session_id, token)
    return WatchEnded(end_reason=session.end_reason)


def _room_sources(url: str) -> str:
    """The room's server, as a content security policy names it: its WebSocket, and its answers to why that failed."""
    host = urlsplit(url).netloc
    secure = url.startswith("wss")
    return f"{'wss' if secure else 'ws'}://{host} {'https' if secure else 'http'}://{host}" if host else ""
