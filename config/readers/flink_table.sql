-- Keeps a table equal to a table of MySQL, from the topic that cdc writes. docs/READERS.md explains it.
-- sql-client.sh -f flink_table.sql, with flink-sql-connector-kafka in lib/.

-- What is kept between two checkpoints is sent again after a crash of the job.
SET 'execution.checkpointing.interval' = '10 s';
SET 'table.local-time-zone' = 'UTC';

CREATE TABLE changes (
  op STRING,
  seq STRING,
  `key` ROW<id BIGINT>,
  after ROW<
    id BIGINT, customer STRING, total DECIMAL(12, 2), weight DOUBLE, stock DECIMAL(20, 0), status STRING, gift TINYINT,
    placed_on DATE, placed_at TIMESTAMP(3), paid_at TIMESTAMP_LTZ(6), receipt BYTES, note STRING
  >
) WITH (
  'connector' = 'kafka',
  'topic' = 'shop.shop.orders',
  'properties.bootstrap.servers' = 'localhost:9092',
  'properties.group.id' = 'flink-orders',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

-- Any sink that updates and deletes by primary key will do: JDBC, Iceberg, Paimon. This one is a compacted topic.
CREATE TABLE orders (
  id BIGINT, customer STRING, total DECIMAL(12, 2), weight DOUBLE, stock DECIMAL(20, 0), status STRING, gift TINYINT,
  placed_on DATE, placed_at TIMESTAMP(3), paid_at TIMESTAMP_LTZ(6), receipt BYTES, note STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'orders-table',
  'properties.bootstrap.servers' = 'localhost:9092',
  'key.format' = 'json',
  'value.format' = 'json',
  'value.json.timestamp-format.standard' = 'ISO-8601',
  'value.json.encode.decimal-as-plain-number' = 'true'
);

-- The event with the highest seq of each key. A table whose key has several columns needs all of them here.
CREATE VIEW latest AS
SELECT * FROM (
  SELECT `key`.id AS id, op, seq, after, ROW_NUMBER() OVER (PARTITION BY `key`.id ORDER BY seq DESC) AS age
  FROM changes WHERE op <> 't'
) WHERE age = 1;

-- The last condition is for TRUNCATE. All rows pass one task for it: leave it out where cdc has `truncate: skip`.
INSERT INTO orders
SELECT id, after.customer, after.total, after.weight, after.stock, after.status, after.gift,
  after.placed_on, after.placed_at, after.paid_at, after.receipt, after.note
FROM latest
WHERE op <> 'd' AND seq > COALESCE((SELECT MAX(seq) FROM changes WHERE op = 't'), '');
