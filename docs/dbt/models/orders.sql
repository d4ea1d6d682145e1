-- The current rows of shop.orders, with the types of their columns.
{{ config(materialized='view') }}
SELECT
  (cdc_row ->> '$.id')::UBIGINT AS id,
  cdc_row ->> '$.customer' AS customer,
  (cdc_row ->> '$.total')::DECIMAL(20, 2) AS total,
  (cdc_row ->> '$.details')::JSON AS details,
  from_base64(cdc_row ->> '$.receipt') AS receipt,
  (cdc_row ->> '$.placed_at')::TIMESTAMP AS placed_at,
  (cdc_row ->> '$.paid_at')::TIMESTAMPTZ AS paid_at
FROM {{ ref('orders_merged') }}
WHERE cdc_op NOT IN ('d', 't')
  AND cdc_seq > coalesce((SELECT max(cdc_seq) FROM {{ ref('orders_merged') }} WHERE cdc_op = 't'), '')
