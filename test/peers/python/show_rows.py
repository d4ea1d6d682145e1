"""Prints rows as test/peers compares them: a JSON array of texts a line, bytes in hex, times in UTC with six digits."""

import json
from datetime import datetime, timezone


def text(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, datetime):
        utc = value if value.tzinfo is None else value.astimezone(timezone.utc).replace(tzinfo=None)
        return utc.isoformat(" ", "microseconds")
    return str(value)


def show(rows):
    for row in rows:
        print("row " + json.dumps([text(value) for value in row]))
