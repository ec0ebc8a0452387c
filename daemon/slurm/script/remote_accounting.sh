#!/bin/bash
# Says whether the cluster keeps accounting that this account can ask.

if ! config=$(ask scontrol show config); then
    fail remote "$config"
fi
if [[ ! $config =~ AccountingStorageType[[:space:]]*=[[:space:]]*([^[:space:]]+) ]]; then
    fail remote 'scontrol show config lacks AccountingStorageType'
fi
type=${BASH_REMATCH[1]}
if [[ $type == *none ]]; then
    printf 'accounting|no|%s\n' "$type"
elif answer=$(ask sacct --allocations --noheader --parsable2 --starttime=now --format=JobID); then
    printf 'accounting|yes|%s\n' "$type"
else
    printf 'accounting|no|%s\n' "$(one_line "$answer")"
fi
printf 'end\n'
