"""Failure code -> HTTP status and body: the one map. Nobody else in the API knows either."""

import logging
from typing import Any

from litestar import Request, Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    SerializationException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import ExceptionHandlersMap

from contracts.http import ErrorBody, ErrorView, PlainErrorView, RateLimitedView
from domain.failures import RETRYABLE, SUGGESTIONS, FailureCode, Refused, Unavailable

log = logging.getLogger(__name__)

RETRY_AFTER_S = "2"
PASSING = frozenset({429, 503})
"""Statuses that say when to try again."""

STATUS: dict[FailureCode, int] = {
    FailureCode.API_KEY_REQUIRED: 401,
    FailureCode.INVALID_API_KEY: 401,
    FailureCode.API_KEY_DEACTIVATED: 401,
    FailureCode.INVALID_SESSION_TOKEN: 401,
    FailureCode.AVATAR_ACCESS_DENIED: 403,
    FailureCode.PLAN_REQUIRED: 403,
    FailureCode.AVATAR_LIMIT_REACHED: 403,
    FailureCode.INSUFFICIENT_MINUTES: 403,
    FailureCode.ACCOUNT_CLOSED: 403,
    FailureCode.LINK_EXPIRED: 403,
    FailureCode.LINK_PAUSED: 403,
    FailureCode.LINK_USED_UP: 403,
    FailureCode.EXTENSION_LIMIT_REACHED: 403,
    FailureCode.NOT_FOUND: 404,
    FailureCode.AVATAR_NOT_FOUND: 404,
    FailureCode.SESSION_NOT_FOUND: 404,
    FailureCode.LINK_NOT_FOUND: 404,
    FailureCode.METHOD_NOT_ALLOWED: 405,
    FailureCode.IDEMPOTENCY_KEY_REUSED: 409,
    FailureCode.CONCURRENCY_LIMIT_REACHED: 429,
    FailureCode.TOO_MANY_REQUESTS: 429,
    FailureCode.INTERNAL_ERROR: 500,
    FailureCode.ADMISSIONS_FROZEN: 503,
    FailureCode.AT_CAPACITY: 503,
    FailureCode.NO_MATCHING_SERVER: 503,
    FailureCode.SERVER_LOST: 503,
    FailureCode.LEASE_REVOKED: 503,
    FailureCode.CREATE_TIMED_OUT: 503,
    FailureCode.CREATE_CANCELLED: 503,
    FailureCode.TEMPORARILY_UNAVAILABLE: 503,
    FailureCode.WEBHOOK_NOT_DELIVERED: 503,
}
"""Every other code is the client's to mend: 400."""

FIELD_CODES: dict[str, FailureCode] = {
    "metadata": FailureCode.INVALID_METADATA,
    "room": FailureCode.INVALID_ROOM,
    "avatar": FailureCode.INVALID_AVATAR,
    "avatar_id": FailureCode.INVALID_AVATAR,
    "avatar_image_url": FailureCode.INVALID_AVATAR,
    "aspect_ratio": FailureCode.INVALID_ASPECT_RATIO,
    "wait_up_to": FailureCode.INVALID_WAIT,
    "image_base64": FailureCode.INVALID_IMAGE_INPUT,
    "image_url": FailureCode.INVALID_IMAGE_INPUT,
}
"""The code of a field that has the wrong type."""

Http = Request[Any, Any, Any]
Body = Response[ErrorView | PlainErrorView | RateLimitedView]


def status_of(code: FailureCode) -> int:
    """The HTTP status of a code."""
    return STATUS.get(code, 400)


def may_succeed_later(code: FailureCode) -> bool:
    """Whether the same request may succeed later, without a change."""
    return code in RETRYABLE or status_of(code) in PASSING


def answer(refusal: Refused) -> Body:
    """The response to a refusal, in the contract's shape for its kind."""
    status = status_of(refusal.code)
    if status == 401:  # noqa: PLR2004
        return Response(PlainErrorView(error=refusal.message), status_code=status)
    if refusal.code == FailureCode.TOO_MANY_REQUESTS:
        wait = str((refusal.details or {}).get("retry_after_seconds", 60))
        return Response(RateLimitedView(error=refusal.message), status_code=status, headers={"Retry-After": wait})
    suggestion = SUGGESTIONS.get(refusal.code)
    body = ErrorBody(message=refusal.message, code=refusal.code, suggestion=suggestion, details=refusal.details)
    wait = str((refusal.details or {}).get("retry_after_seconds", RETRY_AFTER_S))
    headers = {"Retry-After": wait} if status in PASSING else {}
    return Response(ErrorView(error=body), status_code=status, headers=headers)


def _refused(_: Http, error: Refused) -> Body:
    return answer(error)


def _unavailable(_: Http, error: Unavailable) -> Body:
    log.warning("a request was answered 503: %s", error)
    return answer(error)


def _wrong_field(_: Http, error: ValidationException) -> Body:
    """A field of the wrong type; Litestar names it, msgspec says what was expected."""
    problems = error.extra if isinstance(error.extra, list) else []
    problem = problems[0] if problems else {}
    field = str(problem.get("key", ""))
    code = FIELD_CODES.get(field.partition(".")[0], FailureCode.INVALID_REQUEST)
    message = str(problem.get("message", "the request is not valid"))
    return answer(Refused(code, f"{field}: {message}" if field not in ("", "data") else message))


def _not_json(_: Http, __: Exception) -> Body:
    return answer(Refused(FailureCode.INVALID_JSON, "the request body could not be read as what it says it is"))


def _too_large(_: Http, __: Exception) -> Body:
    return answer(Refused(FailureCode.IMAGE_TOO_LARGE, "the request body is larger than a picture may be"))


def _no_route(_: Http, __: Exception) -> Body:
    return answer(Refused(FailureCode.NOT_FOUND, "there is nothing at this address"))


def _no_method(_: Http, __: Exception) -> Body:
    return answer(Refused(FailureCode.METHOD_NOT_ALLOWED, "this address does not take that method"))


def _other_http(_: Http, error: HTTPException) -> Body:
    body = ErrorBody(message=error.detail, code=FailureCode.INVALID_REQUEST)
    return Response(ErrorView(error=body), status_code=error.status_code)


def _unexpected(request: Http, error: Exception) -> Body:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(Refused(FailureCode.INTERNAL_ERROR, "something went wrong on our side"))


HANDLERS: ExceptionHandlersMap = {
    Refused: _refused,
    Unavailable: _unavailable,
    ValidationException: _wrong_field,
    SerializationException: _not_json,
    RequestEntityTooLarge: _too_large,
    NotFoundException: _no_route,
    MethodNotAllowedException: _no_method,
    ClientException: _not_json,
    HTTPException: _other_http,
    Exception: _unexpected,
}
