"""Prints the rows of the model `orders` in the DuckDB file of a dbt project. dbt imports modules named dbt_*."""

import sys

import duckdb
from show_rows import show

warehouse = duckdb.connect(sys.argv[1], read_only=True)
warehouse.execute("SET TimeZone = 'UTC'")
columns = "id, customer, total, details, receipt, placed_at, paid_at::TIMESTAMP"
show(warehouse.execute(f"SELECT {columns} FROM orders").fetchall())
