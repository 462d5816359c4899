"""Failures as clients see them: a status, one sentence, and the form in which OpenAI's clients expect it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from recognizer.errors import RecognizerError

if TYPE_CHECKING:
    from starlette.responses import JSONResponse

TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class ApiError(RecognizerError):
    """A request that is answered with a status and one sentence.

    Attributes:
        status: of HTTP.
        param: the field that is wrong, if it is one.
        headers: of the answer.
    """

    def __init__(self, status: int, message: str, param: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.headers = status, message, param, dict(headers or {})


def error_body(status: int, message: str, param: str | None = None) -> dict[str, object]:
    """The JSON of a failure, as OpenAI's clients read it."""
    kind = TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}


def error_response(error: ApiError) -> JSONResponse:
    """The answer that tells of a failure."""
    from starlette.responses import JSONResponse

    return JSONResponse(error_body(error.status, error.message, error.param), error.status, error.headers)


def busy(seconds: float) -> ApiError:
    """What a client is told that comes while the queue is full."""
    wait = max(1, round(seconds))
    return ApiError(429, f"too many requests wait already; try again in {wait} s", headers={"Retry-After": str(wait)})
