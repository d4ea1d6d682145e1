-- One row for each key that ever had an event, deleted ones too: they keep a late event from bringing the row back.
{{ config(materialized='incremental', unique_key='cdc_key', incremental_strategy='delete+insert') }}
{{ newest_events('shop', 'orders') }}
