"""Latencies over one kept connection, for tests/bench/run. Prints microseconds: p50 p99.

requests.py get URL TOKEN COUNT          GETs
requests.py post URL TOKEN COUNT FILE    POSTs FILE as YAML to URL, each a new evaluation
requests.py commit FILE COUNT BYTES      durable SQLite commits of that many bytes into a new database FILE
"""
import http.client
import os
import sqlite3
import sys
import time
import urllib.parse


def report(samples):
    samples.sort()
    print(int(samples[len(samples) // 2] * 1e6), int(samples[len(samples) * 99 // 100] * 1e6))


def requests(method, url, token, count, body):
    where = urllib.parse.urlsplit(url)
    target = where.path + ("?" + where.query if where.query else "")
    connection = http.client.HTTPConnection(where.hostname, where.port)
    headers = {"Authorization": "Bearer " + token}
    if body is not None:
        headers["Content-Type"] = "application/yaml"
    samples = []
    for _ in range(count):
        begin = time.perf_counter()
        connection.request(method, target, body, headers)
        reply = connection.getresponse()
        content = reply.read()
        samples.append(time.perf_counter() - begin)
        if reply.status not in (200, 202):
            sys.exit(f"{method} {url}: {reply.status} {content[:500]!r}")
    report(samples)


def commits(path, count, size):
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("PRAGMA synchronous=FULL")
    store.execute("CREATE TABLE blobs (data BLOB)")
    samples = []
    for _ in range(count):
        data = os.urandom(size)
        begin = time.perf_counter()
        store.execute("BEGIN IMMEDIATE")
        store.execute("INSERT INTO blobs VALUES (?)", (data,))
        store.execute("COMMIT")
        samples.append(time.perf_counter() - begin)
    report(samples)


kind, rest = sys.argv[1], sys.argv[2:]
if kind == "commit":
    commits(rest[0], int(rest[1]), int(rest[2]))
else:
    with open(rest[3], "rb") if kind == "post" else open(os.devnull, "rb") as file:
        requests(kind.upper(), rest[0], rest[1], int(rest[2]), file.read() if kind == "post" else None)
