"""`greenroom errors`: the catalogue of error codes as a page. It is made of the code alone, and asks nothing."""

import click

HEAD = """\
# Errors

Made by `make errors` from `domain/failures.py` and `api/errors.py`; a test holds it to them.

Every answer of the API with a status of 400 or more has one of three shapes:

1. Nearly all: `code` never changes, `message` says what happened in this case, `suggestion` what helps, and `details`
   what was measured; the last two only where there is something to say.
   ```json
   {"success": false, "error": {"message": "...", "code": "NO_FACE", "suggestion": "...", "details": {"faces": 0}}}
   ```
2. Status 401: a sentence.
   ```json
   {"error": "API key required"}
   ```
3. `TOO_MANY_REQUESTS`, status 429: a sentence too ([api.md](api.md#rate-limits)).
   ```json
   {"success": false, "error": "Too many requests. Please retry after 1 minute."}
   ```

Every answer carries `X-Request-Id`; the same stands in the log lines of that request. A client may send its own, of up
to 128 letters, digits and `._:=+/-`.

Statuses 429 and 503 carry `Retry-After` in seconds. *Again* says that the same request may succeed later without a
change. A create that failed after its admission has its code as `end_reason` too.

The two `WEBHOOK_` codes are told to operators: by `greenroom webhooks`, and in Temporal.

| code | status | again | what helps |
|---|---|---|---|
"""


def error_page() -> str:
    """The page, in Markdown."""
    from api.errors import may_succeed_later, status_of  # noqa: PLC0415 - half a second that other commands do not need
    from domain.failures import SUGGESTIONS, FailureCode  # noqa: PLC0415

    rows = (
        f"| `{code}` | {status_of(code)} | {'yes' if may_succeed_later(code) else ''} | {SUGGESTIONS.get(code, '')} |\n"
        for code in sorted(FailureCode, key=lambda code: (status_of(code), code))
    )
    return HEAD + "".join(rows)


@click.command("errors")
def errors_command() -> None:
    """Print the catalogue of error codes, docs/errors.md."""
    click.echo(error_page(), nl=False)
