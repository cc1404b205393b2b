"""Presigned S3 addresses (AWS Signature Version 4, in the query), made from the keys alone; nobody is asked.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

from adapters.object_address import parse_bucket

ALGORITHM = "AWS4-HMAC-SHA256"
USUAL_REGION = "us-east-1"
"""What S3-compatible servers take where no region is set."""

USUAL_PORTS = {"http": 80, "https": 443}


class Presigner:
    """Makes addresses of a bucket's objects at an endpoint, with the bucket in the path."""

    def __init__(self, address: str, *, endpoint: str, access_key: str, secret_key: str, region: str) -> None:
        parts = urlsplit(endpoint.rstrip("/"))
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        # As browsers send it: what they send is signed.
        self._host = host if parts.port in (None, USUAL_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"
        self._server = f"{parts.scheme}://{self._host}"
        bucket, prefix = parse_bucket(address)
        self._root = f"{parts.path}/{bucket}/{prefix}"
        self._access_key = access_key
        self._secret = secret_key
        self._region = region or USUAL_REGION

    def object_address(self, key: str, begins: int, expires: int) -> str:
        """The address at which an object can be got from `begins` until `expires` (Unix seconds, a week at most)."""
        at = datetime.fromtimestamp(begins, UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{at[:8]}/{self._region}/s3/aws4_request"
        path = quote(f"{self._root}{key}", safe="/~")
        query = urlencode(
            {
                "X-Amz-Algorithm": ALGORITHM,
                "X-Amz-Credential": f"{self._access_key}/{scope}",
                "X-Amz-Date": at,
                "X-Amz-Expires": expires - begins,
                "X-Amz-SignedHeaders": "host",
                "response-cache-control": f"private, max-age={expires - begins}, immutable",
            },
            quote_via=quote,
            safe="~",
        )
        asked = "\n".join(("GET", path, query, f"host:{self._host}", "", "host", "UNSIGNED-PAYLOAD"))
        text = "\n".join((ALGORITHM, at, scope, hashlib.sha256(asked.encode()).hexdigest()))
        signature = hmac.new(self._key(scope), text.encode(), hashlib.sha256).hexdigest()
        return f"{self._server}{path}?{query}&X-Amz-Signature={signature}"

    def _key(self, scope: str) -> bytes:
        key = f"AWS4{self._secret}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key
