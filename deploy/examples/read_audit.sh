#!/usr/bin/env bash
# Takes the audit log of adjutant into a file, entry by entry and in order, with curl and jq.
#
#     read_audit.sh URL TOKEN_FILE OUT CURSOR [--once]
#
# URL is that of the admin listener, as in http://127.0.0.1:8081; a token of the role auditor is enough. Entries are appended to
# OUT, one JSON object a line, and only then is the place to go on from written to CURSOR. Whoever is killed in between reads some
# entries again: what OUT has already is dropped, and a line that was cut off is taken away. With --once it ends at the end of
# the log, else it waits for more. It ends with 1 where an answer cannot be used: where the log is another than that of CURSOR,
# begin with another OUT and CURSOR.
set -euo pipefail

if [ $# -lt 4 ]; then
  sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
  exit 2
fi
url=$1 token_file=$2 out=$3 cursor_file=$4 once=${5:-}
wait_secs=30
[ "$once" = --once ] && wait_secs=0

touch "$out"
# The end of a file that ends with a line is empty here.
if [ -n "$(tail -c 1 "$out")" ]; then
  sed -i '$d' "$out"
fi
last=$(tail -n 1 "$out" | jq '.index')
last=${last:--1}
cursor=
[ -f "$cursor_file" ] && cursor=$(cat "$cursor_file")
page=$(mktemp)
trap 'rm -f "$page"' EXIT

while true; do
  # The token is in no list of processes: curl reads it from a file.
  status=$(curl --silent --show-error --max-time $((wait_secs + 30)) --output "$page" --write-out '%{http_code}' \
    --header @<(printf 'Authorization: Bearer %s' "$(cat "$token_file")") \
    "$url/v1/audit?limit=1000&wait_secs=$wait_secs${cursor:+&after=$cursor}") || status=000
  case $status in
  200) ;;
  000 | 5??)
    [ "$once" = --once ] && exit 1
    sleep 2
    continue
    ;;
  # Asked again it says the same: as where a restore began another log, of which OUT has no entries.
  *)
    printf '%s: ' "$status" >&2
    jq --raw-output '[.detail, .advice // empty] | join("; ")' "$page" >&2
    exit 1
    ;;
  esac
  jq --compact-output --argjson last "$last" '.entries[] | select(.index > $last)' "$page" >>"$out"
  sync "$out"
  last=$(jq --argjson last "$last" '[$last, (.entries[-1].index // -1)] | max' "$page")
  next=$(jq --raw-output '.next' "$page")
  if [ "$next" != "$cursor" ]; then
    printf '%s' "$next" >"$cursor_file.new"
    sync "$cursor_file.new"
    mv "$cursor_file.new" "$cursor_file"
    cursor=$next
  elif [ "$once" = --once ]; then
    exit 0
  fi
done
