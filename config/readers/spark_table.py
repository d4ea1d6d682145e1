"""Keeps an Iceberg table equal to a table of MySQL, from the topic that cdc writes. docs/READERS.md explains it.

    spark-submit --packages KAFKA,ICEBERG spark_table.py --bootstrap HOST:PORT --topic shop.shop.orders \
      --table lake.shop.orders_latest --checkpoint FOLDER [--available-now]

The table has one row for each key: the event with the highest `seq`, a delete too. A TRUNCATE is the row whose key is
NULL. The current rows are a query of docs/READERS.md. The catalog (here `lake`) comes from the settings of Spark.
"""

import argparse

from pyspark.sql import SparkSession, Window
from pyspark.sql.functions import col, from_json, row_number

# The columns of the primary key, and all columns, with the types that docs/READERS.md gives for those of MySQL.
KEY = "id BIGINT"
COLUMNS = """
  id BIGINT, customer STRING, total DECIMAL(12, 2), weight DOUBLE, stock DECIMAL(20, 0), status STRING, gift INT,
  placed_on DATE, placed_at TIMESTAMP_NTZ, paid_at TIMESTAMP, receipt BINARY, note STRING
"""
EVENT = f"op STRING, seq STRING, key STRUCT<{KEY}>, after STRUCT<{COLUMNS}>"


def latest_of(records):
    """The newest event of each key in these records of the topic. A tombstone has no value, and says nothing new."""
    # Without FAILFAST a value that does not fit its type is NULL in the table, and nothing says so.
    event = from_json(col("value").cast("string"), EVENT, {"mode": "FAILFAST"}).alias("event")
    events = records.where("value IS NOT NULL").select(event).select("event.op", "event.seq", "event.key", "event.after")
    newest_first = Window.partitionBy("key").orderBy(col("seq").desc())
    return events.withColumn("age", row_number().over(newest_first)).where("age = 1").drop("age")


def merge_into(table):
    # Spark can run a batch again after a crash, and cdc can repeat events: an equal or lower seq changes nothing.
    statement = f"""
        MERGE INTO {table} AS t USING batch AS b ON t.key <=> b.key
        WHEN MATCHED AND b.seq > t.seq THEN UPDATE SET *
        WHEN NOT MATCHED THEN INSERT *"""

    def merge(records, _batch):
        latest = latest_of(records)
        latest.createOrReplaceTempView("batch")
        latest.sparkSession.sql(statement)

    return merge


def main():
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "topic", "table", "checkpoint"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--available-now", action="store_true", help="end after what the topic has now")
    options = parser.parse_args()
    spark = SparkSession.builder.appName(options.topic).config("spark.sql.session.timeZone", "UTC").getOrCreate()
    spark.sql(f"CREATE TABLE IF NOT EXISTS {options.table} ({EVENT}) USING iceberg")
    records = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", options.bootstrap)
        .option("subscribe", options.topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    writer = records.writeStream.foreachBatch(merge_into(options.table))
    writer = writer.option("checkpointLocation", options.checkpoint)
    trigger = {"availableNow": True} if options.available_now else {"processingTime": "2 seconds"}
    writer.trigger(**trigger).start().awaitTermination()


main()
