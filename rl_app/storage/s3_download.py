"""One object of S3, brought here as one version of it."""

from __future__ import annotations

from typing import Any, BinaryIO, Callable, Dict, Mapping

from rl_app.storage.s3_client import code_of

TRIES = 5
"""How often in a row an answer may break off without another byte."""
_PART = 1 << 20
# 416 where the newer one is shorter than what is here
_REPLACED = ("412", "PreconditionFailed", "416", "InvalidRange")


def download(client: Any, asked: Mapping[str, str], file: BinaryIO, arrived: Callable[[int], None]) -> None:
    """Write an object to a file: where the answer breaks off it goes on from there.

    Where the object is another by then it begins anew, and tells ``arrived`` so by a negative number.

    Raises:
        ClientError, BotoCoreError: boto3's own.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    etag, tries = "", TRIES
    while True:
        begun = file.tell()
        try:
            answer = client.get_object(**asked, **_onward(etag, begun))
            etag = answer["ETag"]
            _copy(answer["Body"], file, arrived)
            return
        except ClientError as error:
            if not begun or code_of(error) not in _REPLACED:
                raise
            file.seek(0)
            file.truncate()
            arrived(-begun)
        except BotoCoreError:
            tries = TRIES if file.tell() > begun else tries - 1
            if not tries:
                raise


def _onward(etag: str, begun: int) -> Dict[str, str]:
    """Ask for the rest of the same object, where some of it is here."""
    return {"Range": f"bytes={begun}-", "IfMatch": etag} if begun else {}


def _copy(body: Any, file: BinaryIO, arrived: Callable[[int], None]) -> None:
    for part in body.iter_chunks(_PART):
        file.write(part)
        arrived(len(part))
