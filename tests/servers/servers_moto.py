"""A real S3-compatible server, moto's, as a process of its own. It checks signatures and permissions by code that is not ours.

As a program: `python -m servers_moto` serves an empty bucket `bills` to anybody until told to stop.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

BUCKET = "bills"
REGION = "us-east-1"

_LISTENING = re.compile(r"Running on http://127\.0\.0\.1:([0-9]+)")
_NOBODY = "0" * 64


class MotoServer:
    """The server, with one bucket."""

    def __enter__(self) -> Self:
        program = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", "0"]
        self._process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := _LISTENING.search(line):
                self.port = int(found[1])
                break
        # Nobody may wait for whoever reads what it goes on to say.
        self._reading = threading.Thread(target=self._process.stderr.read, daemon=True)
        self._reading.start()
        self.ask("PUT", f"/{BUCKET}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._reading.join()
        assert self._process.stderr is not None
        self._process.stderr.close()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def put(self, key: str, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Store an object."""
        self.ask("PUT", f"/{BUCKET}/{quote(key, safe='')}", content, headers)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self.ask("DELETE", f"/{BUCKET}/{quote(key, safe='')}")

    def put_in_parts(self, key: str, *parts: bytes) -> None:
        """Store an object of several parts, as large ones are: its ETag is no digest of its content."""
        path = f"/{BUCKET}/{quote(key, safe='')}"
        upload = _text(self.ask("POST", f"{path}?uploads"), "UploadId")
        listed = ""
        for number, part in enumerate(parts, start=1):
            etag = self._answer("PUT", f"{path}?partNumber={number}&uploadId={upload}", part).headers["etag"]
            listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        done = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        self.ask("POST", f"{path}?uploadId={upload}", done)

    def a_key(self, user: str, *actions: str) -> tuple[str, str]:
        """Return a new key pair of a new user who may do this in the bucket, and nothing else."""
        resources = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
        allowed = {"Effect": "Allow", "Action": actions, "Resource": resources}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self._iam("CreateUser", UserName=user)
        self._iam("PutUserPolicy", UserName=user, PolicyName="reads", PolicyDocument=document)
        made = self._iam("CreateAccessKey", UserName=user)
        return _text(made, "AccessKeyId"), _text(made, "SecretAccessKey")

    def check_everybody(self) -> None:
        """From now on, look at signatures and permissions."""
        self.ask("POST", "/moto-api/reset-auth", b"0")

    def check_nobody(self) -> None:
        """Let everybody do everything again."""
        self.ask("POST", "/moto-api/reset-auth", b"inf")

    def ask(self, method: str, path: str, content: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
        """Ask as somebody whom nobody checks, and return the answer."""
        return self._answer(method, path, content, headers).content

    def _answer(self, method: str, path: str, content: bytes = b"", headers: Mapping[str, str] | None = None) -> _Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, content, {**_proof("s3"), **(headers or {})})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        assert answer.status < 300, (method, path, answer.status, body)
        return _Answer({name.lower(): value for name, value in answer.getheaders()}, body)

    def _iam(self, action: str, **said: str) -> bytes:
        form = urlencode({"Action": action, "Version": "2010-05-08", **said}).encode()
        headers = {**_proof("iam"), "content-type": "application/x-www-form-urlencoded"}
        return self.ask("POST", "/", form, headers)


class _Answer:
    def __init__(self, headers: Mapping[str, str], content: bytes) -> None:
        self.headers = headers
        self.content = content


def _proof(service: str) -> dict[str, str]:
    scope = f"nobody/20260905/{REGION}/{service}/aws4_request"
    return {"authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={_NOBODY}"}


def _text(document: bytes, name: str) -> str:
    found = re.search(f"<{name}>([^<]*)</{name}>", document.decode())
    assert found, document
    return found[1]


def main() -> None:
    """Serve until told to stop."""
    with MotoServer() as server:
        print(f"listening {server.port}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
