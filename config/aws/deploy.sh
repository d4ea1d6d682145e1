#!/bin/sh
# Creates or changes the AWS stack of a stream, and prints what to put where. docs/AWS.md explains the stacks.
set -eu

usage() {
  cat <<'TEXT'
Usage: deploy.sh [--stack NAME] [--name STREAM] [--existing] BUCKET [ENVIRONMENT] [PARAMETER=VALUE...]

  BUCKET             the bucket that gets the objects (the parameter DataLocation)
  ENVIRONMENT        staging (default) or production
  PARAMETER=VALUE    other parameters of the template, such as KmsKeyArn=arn:aws:kms:...

  --stack NAME       s3 (default), parquet, redshift, snowflake or iceberg
  --name STREAM      the name of the stream, to which -ENVIRONMENT is added (default: shop-changes)
  --existing         the bucket is there already; without this option, a new stack makes the bucket

What you leave out keeps its value when the stack is there already.

It calls the AWS CLI, with the account and the region of its configuration (AWS_PROFILE, AWS_REGION).
TEXT
}

fail() {
  echo "deploy.sh: $1" >&2
  echo "deploy.sh --help shows how to call it" >&2
  exit 2
}

stack=s3
name=shop-changes
location=
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) usage && exit 0 ;;
    --stack | --name)
      [ $# -ge 2 ] || fail "$1 needs a value"
      if [ "$1" = --stack ]; then stack=$2; else name=$2; fi
      shift 2
      ;;
    --existing) location=DataLocationIs=existing && shift ;;
    -*) fail "there is no option $1" ;;
    *) break ;;
  esac
done

[ $# -ge 1 ] || fail "the bucket is missing"
bucket=$1
shift
environment=staging
case ${1:-} in
  '' | *=*) ;;
  *) environment=$1 && shift ;;
esac

# The whole of a text, which has no second line, matches a pattern.
matches() {
  [ "$(printf '%s' "$1" | wc -l)" -eq 0 ] && printf '%s\n' "$1" | LC_ALL=C grep -Eqx "$2"
}

case $stack in
  s3 | parquet | redshift | snowflake | iceberg) ;;
  *) fail "there is no stack $stack: s3, parquet, redshift, snowflake or iceberg" ;;
esac
case $environment in
  staging | production) ;;
  *) fail "the environment is $environment: it must be staging or production" ;;
esac
matches "$bucket" '[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]' ||
  fail "$bucket is no name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens, without s3://"
matches "$name" '[a-zA-Z][a-zA-Z0-9-]{0,52}' ||
  fail "$name is no name of a stream: a letter, then up to 52 letters, digits and hyphens"
for parameter in "$@"; do
  matches "$parameter" '[A-Za-z0-9]+=.*' || fail "$parameter is no PARAMETER=VALUE"
  case $parameter in
    DataLocation=* | DataLocationIs=* | Environment=* | StreamName=*)
      fail "${parameter%%=*} is set by BUCKET, --existing, ENVIRONMENT or --name" ;;
  esac
done

command -v aws >/dev/null 2>&1 || fail "there is no AWS CLI: install it (aws --version), and configure its credentials"

template=$(dirname -- "$0")/$stack.yaml
[ -f "$template" ] || fail "there is no template $template"

# The kind of the stack is in its name: a stream cannot change its destination.
stack_name=$name-$environment-$stack
aws cloudformation deploy --template-file "$template" --stack-name "$stack_name" \
  --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset \
  --parameter-overrides "Environment=$environment" "DataLocation=$bucket" "StreamName=$name" \
  ${location:+"$location"} "$@" || {
  echo "deploy.sh: the stack $stack_name was not deployed. What happened:" >&2
  echo "  aws cloudformation describe-stack-events --stack-name $stack_name" >&2
  exit 1
}

output() {
  aws cloudformation describe-stacks --stack-name "$stack_name" --output text \
    --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue"
}

echo
echo "The stack $stack_name is deployed. Put this into cdc.yaml:"
echo
output CdcConfiguration
echo
echo "Attach this policy to the role or user that cdc runs as:"
echo
output ProducerPolicy
if [ "$stack" = s3 ]; then
  echo
  echo "Attach this one to whoever reads the lake, such as cdc verify:"
  echo
  output ReaderPolicy
fi
