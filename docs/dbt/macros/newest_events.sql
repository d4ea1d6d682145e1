{#
  The newest event of each key of a table among the objects of `var('objects')`, in format debezium: cdc_key, cdc_seq,
  cdc_op, and the row as JSON. A TRUNCATE is the newest event of the key 'TRUNCATE'. In an incremental run, only events
  that are newer than what the model has: a late event or a repeat changes nothing, whenever it arrives.
#}
{% macro newest_events(db, table) %}
WITH landed AS (
  SELECT
    CASE
      WHEN op = 't' THEN 'TRUNCATE'
      WHEN key IS NULL THEN error('{{ table }} has no key: name its columns under `keys` in cdc.yaml')
      WHEN partial AND op <> 'd' THEN error('{{ table }} has partial rows: set binlog_row_image=FULL')
      ELSE key::VARCHAR
    END AS cdc_key,
    seq AS cdc_seq,
    op AS cdc_op,
    after AS cdc_row
  FROM read_json('{{ var("objects") }}', format = 'newline_delimited', columns = {
    op: 'VARCHAR', seq: 'VARCHAR', key: 'JSON', after: 'JSON', partial: 'BOOLEAN',
    source: 'STRUCT(db VARCHAR, "table" VARCHAR)'
  })
  WHERE source.db = '{{ db }}' AND source."table" = '{{ table }}'
),
newest AS (
  SELECT * FROM landed QUALIFY row_number() OVER (PARTITION BY cdc_key ORDER BY cdc_seq DESC) = 1
)
SELECT newest.* FROM newest
{% if is_incremental() %}
LEFT JOIN {{ this }} AS merged USING (cdc_key)
WHERE merged.cdc_seq IS NULL OR newest.cdc_seq > merged.cdc_seq
{% endif %}
{% endmacro %}
