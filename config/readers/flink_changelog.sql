-- The same with format `debezium-json`: shorter, without `seq`. It needs `truncate: skip` in the configuration of cdc.
-- docs/READERS.md says what it does with repeats.

SET 'execution.checkpointing.interval' = '10 s';
SET 'table.local-time-zone' = 'UTC';
-- Repeats after a crash of cdc: the last event of each key in the topic is its row. Needs the PRIMARY KEY below.
SET 'table.exec.source.cdc-events-duplicate' = 'true';

CREATE TABLE changes (
  id BIGINT, customer STRING, total DECIMAL(12, 2), weight DOUBLE, stock DECIMAL(20, 0), status STRING, gift TINYINT,
  placed_on DATE, placed_at TIMESTAMP(3), paid_at TIMESTAMP_LTZ(6), receipt BYTES, note STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'kafka',
  'topic' = 'shop.shop.orders',
  'properties.bootstrap.servers' = 'localhost:9092',
  'properties.group.id' = 'flink-orders-changelog',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'debezium-json',
  'debezium-json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TABLE orders (
  id BIGINT, customer STRING, total DECIMAL(12, 2), weight DOUBLE, stock DECIMAL(20, 0), status STRING, gift TINYINT,
  placed_on DATE, placed_at TIMESTAMP(3), paid_at TIMESTAMP_LTZ(6), receipt BYTES, note STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'orders-changelog-table',
  'properties.bootstrap.servers' = 'localhost:9092',
  'key.format' = 'json',
  'value.format' = 'json',
  'value.json.timestamp-format.standard' = 'ISO-8601',
  'value.json.encode.decimal-as-plain-number' = 'true'
);

INSERT INTO orders SELECT * FROM changes;
