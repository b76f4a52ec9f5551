#!/bin/sh
# Makes conversation.wav from the script below: the agent on the left channel, the customer on the right, one after the other.
# Needs espeak-ng and sox. Writes beside itself; nothing else is touched. -D: no dither, so that the same tools give the same bytes.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Channel, then what is said.
cat > "$work/script" <<'SCRIPT'
agent Good morning, this is the clinic's front desk. How may I help you?
customer Hello. I have an appointment on Tuesday, and I need to move it.
agent Of course. Which day would suit you better?
customer Thursday, please, and in the afternoon if that is possible.
agent Thursday at half past two is free. Shall I book that for you?
customer Yes, that works well for me. Thank you.
agent Done. Your new appointment is on Thursday at half past two.
customer Wonderful. Have a nice day. Goodbye.
SCRIPT

sox -D -n -r 8000 -c 1 -b 16 "$work/pause.wav" trim 0 0.3
n=0
while read -r who words; do
    n=$((n + 1))
    case $who in
    agent) voice=en-us+f3 ;;
    customer) voice=en-gb+m2 ;;
    esac
    espeak-ng -v "$voice" -s 190 -w "$work/said.wav" "$words"
    # 300 to 3400 Hz is what a telephone lets through.
    sox -D "$work/said.wav" -r 8000 -c 1 -b 16 "$work/line.wav" sinc 300-3400 norm -4
    sox -D "$work/line.wav" "$work/silence.wav" vol 0
    case $who in
    agent) left=line right=silence ;;
    customer) left=silence right=line ;;
    esac
    # The pause belongs to both sides, so that they stay in step.
    sox -D "$work/$left.wav" "$work/pause.wav" "$work/left-$n.wav"
    sox -D "$work/$right.wav" "$work/pause.wav" "$work/right-$n.wav"
done < "$work/script"

i=1 lefts='' rights=''
while [ "$i" -le "$n" ]; do
    lefts="$lefts $work/left-$i.wav" rights="$rights $work/right-$i.wav"
    i=$((i + 1))
done
# The lists hold only our own names without blanks, so they may be split.
# shellcheck disable=SC2086
sox -D $lefts "$work/left.wav"
# shellcheck disable=SC2086
sox -D $rights "$work/right.wav"
sox -D -M "$work/left.wav" "$work/right.wav" "$here/conversation.wav"
