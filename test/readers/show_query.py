"""Prints the rows of a query, as test/readers compares them."""

import sys

from pyspark.sql import SparkSession
from show_rows import show

spark = SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
show(spark.sql(sys.argv[1]).collect())
