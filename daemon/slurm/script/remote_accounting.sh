#!/bin/bash
# Says whether the cluster keeps accounting that this account can ask.

sacct_s=10 # one that says nothing for so long is there as well

if ! config=$(ask scontrol show config); then
    fail remote "$config"
fi
if [[ ! $config =~ AccountingStorageType[[:space:]]*=[[:space:]]*([^[:space:]]+) ]]; then
    fail remote 'scontrol show config lacks AccountingStorageType'
fi
type=${BASH_REMATCH[1]}
# A sacct that fails is one that will answer again: to take the cluster for one without accounting would be to guess ends
# from less than there is.
if [[ $type == *none ]]; then
    printf 'accounting|no|%s\n' "$type"
elif ! command -v sacct >/dev/null; then
    printf 'accounting|no|there is no sacct\n'
elif answer=$(ask_within "$sacct_s" sacct --allocations --noheader --parsable2 --starttime=now --format=JobID); then
    printf 'accounting|yes|%s\n' "$type"
elif [[ $answer == *'accounting storage is disabled'* ]]; then
    printf 'accounting|no|%s\n' "$(one_line "$answer")"
else
    printf 'accounting|yes|%s\n' "$(one_line "$answer")"
fi
printf 'end\n'
