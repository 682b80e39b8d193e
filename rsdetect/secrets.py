"""Addresses without secrets: server and path, without what grants access.

Everything that leaves rsdetect (records, tables, journals, reports, messages, logs) passes `without_secrets`.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

# As `rsdetect.scenes.remote.gdal_name` spells an address for GDAL.
_SPELLED = re.compile(
    r"/?vsi(?P<kind>\w+)\?(?:[^\s\"'<>&]*&(?:amp;)?)*?url=(?P<address>[^&\s\"'<>,;]+)[^\s\"'<>,;]*", re.I
)
_ADDRESS = re.compile(
    # A path keeps one slash of them, or gets a third one.
    r"(?P<start>(?:https?|ftp|s3|gs|az):/+|[a-z][a-z0-9+.-]*://)"
    r"(?:[^/?#\s\"'<>]*@)?"  # the user's name and password
    r"(?P<place>[^?#\s\"'<>]*)"
    r"(?P<query>[?][^\s\"'<>]*|[#][^\s\"'<>]*=[^\s\"'<>]*)?",
    re.I,
)
_END = re.compile(r"[.,:;)\]]+$")  # of a sentence, not of an address
# Parameters that are no part of what is addressed: who asks, until when, and the proof of it.
_SIGNATURES = re.compile(
    r"(x-(amz|goog|oss)-.*|awsaccesskeyid|googleaccessid|key-pair-id|policy|signature|expires|hmac"
    r"|sig|se|sp|sv|sr|st|spr|sip|srt|ss|sks|ske|skt|skv|sktid|skoid"
    r"|.*(token|secret|password|passwd|api[-_]?key|auth|credential|session).*|key|sas)",
    re.I,
)


def without_secrets(text: str) -> str:
    """Text with every address cut to its server and path.

    >>> without_secrets("https://me:pw@host/a.tif?sig=x cannot be read; see /vsicurl/http://host/b.tif?t=1.")
    'https://host/a.tif cannot be read; see /vsicurl/http://host/b.tif.'
    """
    if ":/" not in text and "url=" not in text:
        return text
    return _ADDRESS.sub(
        _cut, _SPELLED.sub(lambda found: f"/vsi{found['kind']}/{unquote(found['address'])}", text)
    )


def _cut(found: re.Match[str]) -> str:
    query = found["query"]
    end = _END.search(query) if query else None
    return found["start"] + found["place"] + (end[0] if end else "")


def all_without_secrets(content: Any) -> Any:
    """Content with every text, in lists and mappings, without secrets."""
    if isinstance(content, str):
        return without_secrets(content)
    if isinstance(content, dict):
        return {all_without_secrets(key): all_without_secrets(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [all_without_secrets(value) for value in content]
    return content


def without_signatures(text: str) -> str:
    """Text whose addresses keep all parameters but signatures; for hashes only.

    >>> without_signatures("http://host/a.tif?scene=1&X-Amz-Signature=x&sig=y")
    'http://host/a.tif?scene=1'
    """

    def cut(found: re.Match[str]) -> str:
        query = (found["query"] or "")[1:].replace("&amp;", "&")
        kept = sorted(pair for pair in parse_qsl(query, True) if not _SIGNATURES.fullmatch(pair[0]))
        return found["start"] + found["place"] + (f"?{urlencode(kept)}" if kept else "")

    return _ADDRESS.sub(cut, text) if "://" in text else text


def name_of_address(address: str) -> str:
    """Name of a scene that has only an address; independent of its signature.

    >>> name_of_address("https://host/a.tif?sig=x"), name_of_address("/data/a.tif")
    ('https://host/a.tif', '/data/a.tif')
    >>> name_of_address("https://host/get?scene=1&sig=x")
    'https://host/get#783e685c'
    """
    name, whole = without_secrets(address), without_signatures(address)
    if name in (address, whole):
        return name
    import hashlib  # loads OpenSSL

    return f"{name}#{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
