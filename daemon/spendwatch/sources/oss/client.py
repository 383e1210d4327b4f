"""A read-only client of an object store for one bucket: its listing and its objects."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from urllib.parse import quote, urlsplit

from spendwatch.domain.period import Clock
from spendwatch.request import HttpAnswer, HttpClient, Receiver, Request
from spendwatch.sources.download import PART, WHOLE, Download
from spendwatch.sources.oss.answers import refusal_of
from spendwatch.sources.oss.listing import OPERATION, PAGE_SIZE, Listing, ListingPage, page_of
from spendwatch.sources.oss.settings import OssConfig, Signature
from spendwatch.sources.oss.signing import AWS4, OSS4, StoreRequest, signed
from spendwatch.sources.provider.answers import Asked, Operation
from spendwatch.sources.provider.credentials import Credentials
from spendwatch.sources.trouble import EndpointError, Failure, fetched

_SILENCE = timedelta(seconds=60)
_LARGEST_PAGE = 8 << 20
"""A thousand objects take 0.4 MB, with the longest keys 4 MB."""
_USUAL_PORTS = {"https": 443, "http": 80}


class OssClient:
    """Calls an object store with credentials."""

    def __init__(self, client: HttpClient, credentials: Credentials, config: OssConfig, *, clock: Clock) -> None:
        """Call the endpoint that the settings name."""
        self._client = client
        self._credentials = credentials
        self._config = config
        self._clock = clock
        self._dialect = AWS4 if config.signature is Signature.S3 else OSS4
        place = urlsplit(config.address)
        port = f":{place.port}" if place.port and place.port != _USUAL_PORTS[place.scheme] else ""
        bucket = "" if config.path_style else f"{config.bucket}."
        host = f"[{place.hostname}]" if ":" in (place.hostname or "") else place.hostname
        self._scheme, self._host = place.scheme, f"{bucket}{host}{port}"

    async def pages(self) -> AsyncGenerator[ListingPage, None]:
        """Yield what the bucket holds below the prefix; `EndpointError` unless all of it is one listing."""
        name, bucket, prefix = OPERATION, self._config.bucket, self._config.prefix
        needs = f"{'s3:ListBucket' if self._dialect is AWS4 else 'the RAM action oss:ListObjects'} on the bucket {bucket}"
        query = {"list-type": "2", "encoding-type": "url", "max-keys": str(PAGE_SIZE), **({"prefix": prefix} if prefix else {})}
        listing, token = Listing(bucket), ""
        while True:
            asked = query | ({"continuation-token": token} if token else {})
            answer = await self._ask(Operation(name, "", needs), "", asked)
            page = page_of(answer.body, bucket=bucket, prefix=prefix)
            listing.take(page)
            yield page
            token = page.token
            if not token:
                return

    async def download(self, key: str, download: Download) -> None:
        """Fill the download's file with the object; `EndpointError` unless all of it came, and in one version."""
        needs = f"{'s3' if self._dialect is AWS4 else 'the RAM action oss'}:GetObject on the objects of {self._config.bucket}"
        await self._ask(Operation(download.what, "", needs), key, {}, download.headers, download.receive)
        download.check()

    async def _ask(
        self,
        operation: Operation,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        into: Receiver | None = None,
    ) -> HttpAnswer:
        """Ask once, and once more with other credentials, if there may be others."""
        request = self._request(key, query, headers or {})
        try:
            return await self._once(operation, key, request, into)
        except EndpointError as error:
            if error.trouble is not Failure.CREDENTIALS or not self._credentials.forget():
                raise
        return await self._once(operation, key, request, into)

    async def _once(self, operation: Operation, key: str, request: StoreRequest, into: Receiver | None) -> HttpAnswer:
        signer, at = await self._credentials.current(), self._clock()
        proven = signed(request, signer, self._dialect, region=self._config.region, at=at)
        asking = Request(
            url=self._url(key, request),
            credentials=proven,
            most_bytes=self._config.most_bytes if into else _LARGEST_PAGE,
            deadline=self._config.timeout,
            silence=min(_SILENCE, self._config.timeout),
            into=into,
        )
        answer = await fetched(self._client, operation.name, asking)
        if answer.status not in ({WHOLE, PART} if into else {WHOLE}):
            raise refusal_of(answer, Asked(operation, at, signer.secrets))
        return answer

    def _request(self, key: str, query: Mapping[str, str], headers: Mapping[str, str]) -> StoreRequest:
        dialect = self._dialect
        # The provider signs the bucket wherever it travels.
        in_path = self._config.path_style or dialect is OSS4
        resource = f"/{self._config.bucket}/{key}" if in_path else f"/{key}"
        return StoreRequest(resource, query, {**headers, **({"host": self._host} if dialect.signs_all else {})})

    def _url(self, key: str, request: StoreRequest) -> str:
        path = f"/{self._config.bucket}/{_travelling(key)}" if self._config.path_style else f"/{_travelling(key)}"
        query = request.canonical_query(self._dialect)
        return f"{self._scheme}://{self._host}{path}{'?' if query else ''}{query}"


def _travelling(key: str) -> str:
    """Return the key as a URL's path holds it. Points alone between slashes would be taken for a way up, and are escaped."""
    parts = (part.replace(".", "%2E") if part in {".", ".."} else quote(part, safe="") for part in key.split("/"))
    return "/".join(parts)
