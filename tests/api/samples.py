"""Packed samples (daemon/slurm/samples_pack.h), made here once more, so that the store can have what no evaluator wrote."""

import struct
import zlib


def number(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def steps(values):
    out, last = b"", 0
    for value in values:
        step = value - last
        out += number(2 * step if step >= 0 else -2 * step - 1)
        last = value
    return out


def text(value):
    return number(len(value.encode())) + value.encode()


def pack(sets, left_out=0, spoilt=0):
    """sets: dicts of task, filter, file, rows: (id, hash, repeat, {metric: value})."""
    plain = number(left_out) + number(spoilt) + number(len(sets))
    for one in sets:
        rows = one["rows"]
        metrics = sorted({name for row in rows for name in row[3]})
        plain += text(one.get("file", "samples_t.jsonl")) + text(one.get("task", "")) + text(one.get("filter", ""))
        plain += number(0) + number(len(rows)) + number(len(metrics))
        plain += steps([row[0] for row in rows]) + steps([row[2] for row in rows]) + steps(range(1, len(rows) + 1))
        plain += b"".join(bytes(row[1] >> 8 * byte & 0xFF for row in rows) for byte in range(4))
        for name in metrics:
            values = [row[3].get(name, float("nan")) for row in rows]
            packed = [struct.pack("<d", value) for value in values]
            distinct = sorted(set(packed))
            plain += text(name) + number(len(distinct)) + b"".join(distinct) + bytes(distinct.index(value) for value in packed)
    return b"nsp1" + struct.pack("<I", len(plain)) + zlib.compress(plain)


def store(daemon, job, sets, **counts):
    rows = sum(len(one["rows"]) for one in sets)
    daemon.execute("INSERT INTO samples (job, rows, left_out, spoilt, short, data) SELECT seq, ?, ?, ?, ?, ? FROM jobs WHERE id = ?",
                   rows, counts.get("left_out", 0), counts.get("spoilt", 0), counts.get("short", 0), pack(sets), job)
