"""Reads addresses of S3 buckets; needs no library of theirs."""

S3 = "s3://"


def parse_bucket(address: str) -> tuple[str, str]:
    """Bucket and key prefix of `s3://bucket/prefix`; the prefix is empty or ends with a slash."""
    bucket, _, prefix = address.removeprefix(S3).partition("/")
    prefix = prefix.strip("/")
    return bucket, f"{prefix}/" if prefix else ""
