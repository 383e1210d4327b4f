"""Responses of the provider's gateway: a document, or an error in one of many forms, classified by what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from spendwatch.domain.period import duration_text
from spendwatch.exact_json import NoJsonError, parse
from spendwatch.pacing import asked_pause, moment_of
from spendwatch.request import HttpAnswer
from spendwatch.sources.trouble import EndpointError, Failure, quoted, trouble_of_status

_OK = 200
_FINE = frozenset({"", "200", "Success", "success", "OK"})

_BY_CODE = {
    "NotApplicable": Failure.WRONG_SITE,
    "NotAuthorized": Failure.PERMISSION,
    "InvalidTimeStamp.Expired": Failure.CLOCK,
    "SignatureDoesNotMatch": Failure.CREDENTIALS,
    # Somebody on the way sent the request twice: the next one has another nonce.
    "SignatureNonceUsed": Failure.UNAVAILABLE,
    # The balance operations answer so, with status 400, for temporary failures of their own.
    "InternalError": Failure.UNAVAILABLE,
    "UndefinedError": Failure.UNAVAILABLE,
    "CreditInnerError": Failure.UNAVAILABLE,
}
_BY_BEGINNING = {
    "Throttling": Failure.THROTTLED,
    "InvalidAccessKeyId": Failure.CREDENTIALS,
    "InvalidSecurityToken": Failure.CREDENTIALS,
}
_KEY_TROUBLES = {
    "InvalidAccessKeyId": "it is not known there, deleted or disabled",
    "InvalidSecurityToken": "it has expired, or its token belongs to another key",
    "SignatureDoesNotMatch": "the secret does not belong to this key",
}

_XML_CODE = re.compile(r"<Code>([A-Za-z0-9._-]{1,100})</Code>", re.ASCII)
_XML_MESSAGE = re.compile(r"<Message>([^<]{0,1000})</Message>")
_CODE = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
_LOOKED_AT = 64 * 1024


class Operation(NamedTuple):
    """What was called, and what a refusal of it means."""

    name: str
    version: str
    needs: str
    """The missing permission, as text for the administrator."""


class Asked(NamedTuple):
    """The circumstances of one call."""

    operation: Operation
    at: datetime
    """When it was signed, by our clock."""
    secrets: tuple[str, ...] = ()
    """What must not be repeated to anybody."""
    site: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an answer says in place of what was asked for."""

    code: str
    """Empty where there is none."""
    message: str


def document(answer: HttpAnswer, asked: Asked) -> Mapping[str, object]:
    """Return the JSON object that the answer holds, or raise `EndpointError` for refusals and for what is no answer at all."""
    if answer.status != _OK:
        raise _refused(answer, asked)
    if not answer.body.strip():
        raise _no_answer(asked, "an empty answer")
    if "json" not in answer.headers.get("content-type", "").lower():
        claimed = quoted(answer.headers.get("content-type", ""))
        what = f"the response has the type {claimed}, not JSON: it may be the page of a login or a proxy"
        raise _no_answer(asked, what)
    try:
        found = parse(answer.body)
    except NoJsonError as error:
        what = "an HTML or XML page, perhaps of a login" if answer.body.lstrip()[:1] == b"<" else str(error)
        raise _no_answer(asked, f"the answer cannot be read: {what}") from error
    if not isinstance(found, dict):
        raise _no_answer(asked, "the answer is no JSON object")
    return found


def _no_answer(asked: Asked, what: str) -> EndpointError:
    return EndpointError(f"{asked.operation.name}: {what}", Failure.NOT_A_BILL)


def successful(found: Mapping[str, object], answer: HttpAnswer, asked: Asked) -> Mapping[str, object]:
    """Return the object if it says that it is the answer; status 200 alone does not mean so."""
    refusal = _said_in(found)
    if refusal.code in _FINE and found.get("Success", True) is True:
        return found
    if "Success" in found and not isinstance(found["Success"], bool):
        msg = f"{asked.operation.name}: Success is {quoted(str(found['Success']))}, neither true nor false"
        raise EndpointError(msg, Failure.UNEXPECTED)
    raise told(_trouble(refusal.code, answer.status), refusal, answer, asked)


def _refused(answer: HttpAnswer, asked: Asked) -> EndpointError:
    body = answer.body[:_LOOKED_AT]
    try:
        found = parse(body)
    except NoJsonError:
        text = body.decode("utf-8", errors="replace")
        code, message = _XML_CODE.search(text), _XML_MESSAGE.search(text)
        refusal = Refusal(code[1] if code else "", message[1] if message else "")
    else:
        refusal = _said_in(found) if isinstance(found, dict) else Refusal("", "")
    return told(_trouble(refusal.code, answer.status), refusal, answer, asked)


def _said_in(found: Mapping[str, object]) -> Refusal:
    code = str(found.get("Code") or found.get("code") or "")
    message = str(found.get("Message") or found.get("message") or "")
    # Nobody but the gateway makes codes: what does not look like one is not repeated.
    return Refusal(code if _CODE.fullmatch(code) else "unknown" if code else "", message)


def told(trouble: Failure, refusal: Refusal, answer: HttpAnswer, asked: Asked) -> EndpointError:
    """Return a refusal as text that says what to do."""
    words = _words(trouble, refusal, answer, asked)
    return EndpointError(f"{asked.operation.name}: {words}", trouble, retry_after=asked_pause(answer.headers, asked.at))


def _trouble(code: str, status: int) -> Failure:
    if code in _BY_CODE:
        return _BY_CODE[code]
    for beginning, trouble in _BY_BEGINNING.items():
        if code.startswith(beginning):
            return trouble
    return trouble_of_status(status)


def _words(trouble: Failure, refusal: Refusal, answer: HttpAnswer, asked: Asked) -> str:
    code = refusal.code or f"HTTP {answer.status}"
    match trouble:
        case Failure.WRONG_SITE:
            other = {"cn": "intl", "intl": "cn"}.get(asked.site, "the other one")
            return f"not for this account ({code}); is it an account of the wrong site? If so, configure site: {other}"
        case Failure.PERMISSION:
            return f"not permitted ({code}): it needs {asked.operation.needs}"
        case Failure.CLOCK:
            return f"the time of the signature is not accepted ({code}): {_clocks(answer, asked.at)}"
        case Failure.CREDENTIALS:
            # What the gateway says of a signature may repeat the request that was signed.
            hint = next((f": {what}" for beginning, what in _KEY_TROUBLES.items() if code.startswith(beginning)), "")
            return f"the access key is not accepted ({code}){hint}"
        case Failure.THROTTLED:
            return f"too many calls ({code})"
        case _:
            said = f": {quoted(refusal.message, asked.secrets)}" if refusal.message else ""
            return f"rejected with status {answer.status}" + (f" ({refusal.code})" if refusal.code else "") + said


def _clocks(answer: HttpAnswer, ours: datetime) -> str:
    theirs = moment_of(answer.headers.get("date", ""))
    if theirs is None:
        return "set this machine's clock"
    ahead = ours - theirs
    direction = "ahead of" if ahead > timedelta(0) else "behind"
    # Their header has no fractions, and an answer takes its time: seconds are not the difference of the clocks.
    apart = timedelta(minutes=round(abs(ahead) / timedelta(minutes=1))) or abs(ahead)
    return f"this machine's clock is {duration_text(apart)} {direction} the provider's"
