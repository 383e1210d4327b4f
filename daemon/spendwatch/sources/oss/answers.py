"""Error responses of an object store, classified by what to do about them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

from spendwatch.request import HttpAnswer
from spendwatch.sources.oss.listing import MOST_ELEMENTS
from spendwatch.sources.provider.answers import Asked, Refusal, told
from spendwatch.sources.trouble import EndpointError, Failure, quoted, trouble_of_status
from spendwatch.xml_stream import MarkupError, Tree

_CODE = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
_BY_CODE: Mapping[str, Failure] = {
    "InvalidAccessKeyId": Failure.CREDENTIALS,
    "SignatureDoesNotMatch": Failure.CREDENTIALS,
    "InvalidSecurityToken": Failure.CREDENTIALS,
    "SecurityTokenExpired": Failure.CREDENTIALS,
    "AccessKeyIdAndSecurityTokenNotMatch": Failure.CREDENTIALS,
    "ExpiredToken": Failure.CREDENTIALS,
    "InvalidToken": Failure.CREDENTIALS,
    "RequestTimeTooSkewed": Failure.CLOCK,
    "SlowDown": Failure.THROTTLED,
    "InvalidObjectState": Failure.ARCHIVED,
    # No permission helps where a payment or another endpoint is needed.
    "InDebt": Failure.REFUSED,
    "InDebtOverdue": Failure.REFUSED,
    "UserDisable": Failure.REFUSED,
    "BucketDisable": Failure.REFUSED,
    "AbnormalBucketOwnerStatus": Failure.REFUSED,
    "SecondLevelDomainForbidden": Failure.REFUSED,
    "NonStandardHostForbidden": Failure.REFUSED,
    # It was there when it was listed.
    "NoSuchKey": Failure.CHANGING,
    "PreconditionFailed": Failure.CHANGING,
    "InvalidRange": Failure.CHANGING,
}
_LIMIT = "LimitExceeded"
"""So the codes of the provider end that speak of requests, traffic and the like."""
_BY_STATUS = {412: Failure.CHANGING, 416: Failure.CHANGING}
_ELSEWHERE = frozenset({"PermanentRedirect", "TemporaryRedirect"})


def refusal_of(answer: HttpAnswer, asked: Asked) -> EndpointError:
    """Return what it means that the store did not give what was asked for."""
    tree = Tree()
    with suppress(MarkupError):
        tree.take(answer.body, most=MOST_ELEMENTS)
    error = tree.root
    # Nobody but the store makes codes: what does not look like one is not repeated.
    code = said if _CODE.fullmatch(said := error.findtext("Code", "").strip()) else ""
    endpoint = error.findtext("Endpoint", "").strip()
    if endpoint or code in _ELSEWHERE:
        # The provider says this as a lack of permission.
        named = f": its endpoint is {quoted(endpoint, asked.secrets)}" if endpoint else ""
        msg = f"{asked.operation.name}: the bucket is not in this region{named} ({code or answer.status})"
        return EndpointError(msg, Failure.REFUSED)
    return told(_trouble(code, answer.status), Refusal(code, error.findtext("Message", "").strip()), answer, asked)


def _trouble(code: str, status: int) -> Failure:
    if code.endswith(_LIMIT):
        return Failure.THROTTLED
    return _BY_CODE.get(code) or _BY_STATUS.get(status) or trouble_of_status(status)
