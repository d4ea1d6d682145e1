"""Runs the query in a file with the ClickHouse that is embedded in chdb, and prints its rows as texts."""

import json
import sys

import chdb
from show_rows import show

with open(sys.argv[1], encoding="utf-8") as file:
    query = file.read()
shown = f"""
    SELECT toString(id), customer, toDecimalString(total, 2), details, lower(hex(receipt)), toString(placed_at),
      toString(toDateTime64(paid_at, 6, 'UTC'))
    FROM ({query})
"""
# Not splitlines: a line can hold U+2028.
lines = chdb.query(shown, "JSONCompactEachRow").bytes().decode("utf-8").split("\n")
show(json.loads(line) for line in lines if line != "")
