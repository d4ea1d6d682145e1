#!/bin/sh
# An event producer that is no database: sends events of the people of an app to a Firehose stream with the AWS CLI, the
# first one with put-record and the others with put-record-batch. See ../EVENT-PRODUCER.md.
#
#   sh event-producer.sh STREAM [EVENTS] > sent.ndjson
#
# ENDPOINT is the url of a local Firehose; without it the stream is on AWS. SEED gives the same events again, except for
# their ids. Standard output is each event that was accepted, one JSON object a line.
set -eu

stream=${1:?usage: sh event-producer.sh STREAM [EVENTS]}
events=${2:-100}
BATCH=100 # PutRecordBatch takes up to 500 records
ATTEMPTS=8

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Version 1 of the AWS CLI takes the data of a record as it is, version 2 only with this option.
case $(aws --version 2>&1) in
  aws-cli/1.*) raw= ;;
  *) raw='--cli-binary-format raw-in-base64-out' ;;
esac
firehose() {
  # shellcheck disable=SC2086
  aws firehose "$@" --delivery-stream-name "$stream" $raw ${ENDPOINT:+--endpoint-url "$ENDPOINT"}
}

# Only SUBSCRIBE has a revenue. The first sources bring more of them.
awk -v count="$events" -v seed="${SEED:-$$}" -v run="$(date +%s)-$$" -v now="$(date -u +%Y-%m-%dT%H:%M)" '
  BEGIN {
    srand(seed)
    types = split("JOIN LEAVE OPEN_CHAT SUBSCRIBE SEND_MESSAGE", type, " ")
    sources = split("ads search referral email social", source, " ")
    for (n = 1; n <= count; n++) {
      what = type[1 + int(rand() * types)]
      from = source[1 + int(rand() * rand() * sources)]
      revenue = what == "SUBSCRIBE" ? sprintf("%d.%02d", rand() * 50, rand() * 100) : "null"
      printf "{\"event_id\":\"%s-%d\",\"person_id\":%d,\"event_type\":\"%s\",\"source\":\"%s\",", \
        run, n, 1 + rand() * 1000, what, from
      printf "\"revenue\":%s,\"event_timestamp\":\"%s:%02d.%03dZ\"}\n", revenue, now, n / 1000 % 60, n % 1000
    }
  }' > "$folder/events"

# A record for each event. The newline in its data keeps the events apart in the objects that Firehose delivers.
record() { sed -e 's/"/\\"/g' -e 's/.*/{"Data":"&\\n"}/' "$1"; }
records() {
  printf '['
  record "$1" | sed '$!s/$/,/'
  printf ']'
}

head -n 1 "$folder/events" > "$folder/first"
record "$folder/first" > "$folder/record.json"
firehose put-record --record "file://$folder/record.json" > "$folder/answer"
cat "$folder/first"

sed 1d "$folder/events" > "$folder/rest"
[ -s "$folder/rest" ] && split -l "$BATCH" -a 4 "$folder/rest" "$folder/batch."
for batch in "$folder"/batch.*; do
  [ -e "$batch" ] || continue
  attempt=1
  while [ -s "$batch" ]; do
    if [ "$attempt" -gt "$ATTEMPTS" ]; then
      echo "$stream still refuses $(wc -l < "$batch") events after $ATTEMPTS attempts" >&2
      exit 1
    fi
    [ "$attempt" -eq 1 ] || sleep "$attempt"
    records "$batch" > "$folder/records.json"
    # A call that succeeds can have refused some of its records: each has an ErrorCode of its own, or None.
    firehose put-record-batch --records "file://$folder/records.json" \
      --query 'RequestResponses[].[ErrorCode]' --output text > "$folder/codes"
    paste "$folder/codes" "$batch" | sed -n 's/^None	//p'
    paste "$folder/codes" "$batch" | sed -e '/^None	/d' -e 's/^[^	]*	//' > "$folder/refused"
    mv "$folder/refused" "$batch"
    attempt=$((attempt + 1))
  done
done
echo "$events events sent to $stream" >&2
