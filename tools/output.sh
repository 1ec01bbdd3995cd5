# SPDX-License-Identifier: Apache-2.0
# How the developer's commands speak: colour and a moving progress line on a terminal, plain lines
# elsewhere. Sourced by dev, tools/* and .ci/run.

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' plain=$'\e[0m'
  clear_line=$'\r\e[K'
else
  bold='' dim='' red='' green='' yellow='' plain='' clear_line=''
fi

step() { printf '%s%s==>%s %s\n' "$clear_line" "$bold" "$plain" "$*"; }

# A line that the next one replaces; nothing where there is no terminal.
progress() { [ -z "$clear_line" ] || printf '%s%s%s%s' "$clear_line" "$dim" "$*" "$plain"; }

fail() {
  printf '%s%serror:%s %s\n' "$clear_line" "$red" "$plain" "$*" >&2
  exit 1
}

# 12.3 from two readings of $EPOCHREALTIME.
seconds_between() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", b - a }'; }
