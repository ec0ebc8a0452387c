"""Latencies over one kept connection, for tests/bench/run. Prints microseconds: p50 p99.

requests.py get URL TOKEN COUNT          GETs
requests.py post URL TOKEN COUNT FILE    POSTs FILE as YAML to URL, each a new evaluation
requests.py commit FILE COUNT BYTES      durable SQLite commits of that many bytes into a new database FILE
"""
import os
import re
import socket
import sqlite3
import sys
import time
import urllib.parse


def report(samples):
    samples.sort()
    print(int(samples[len(samples) // 2] * 1e6), int(samples[len(samples) * 99 // 100] * 1e6))


def receive(connection):
    return connection.recv(1 << 16) or sys.exit("the connection was closed before a reply was whole")


def exchange(connection, message):
    """Sends a request in one piece; the reply's status and content. Plain sockets, for a client library's own time is
    of the order of the daemon's."""
    connection.sendall(message)
    received = b""
    while b"\r\n\r\n" not in received:
        received += receive(connection)
    head, _, content = received.partition(b"\r\n\r\n")
    length = re.search(rb"\r\nContent-Length: (\d+)", head, re.IGNORECASE)
    if length is None:
        sys.exit(f"a reply without Content-Length: {head!r}")
    while len(content) < int(length[1]):
        content += receive(connection)
    return int(head.split(b" ", 2)[1]), content


def requests(method, url, token, count, body):
    where = urllib.parse.urlsplit(url)
    target = where.path + ("?" + where.query if where.query else "")
    head = f"{method} {target} HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {token}\r\n"
    if body is not None:
        head += f"Content-Type: application/yaml\r\nContent-Length: {len(body)}\r\n"
    message = head.encode() + b"\r\n" + (body or b"")
    samples = []
    with socket.create_connection((where.hostname, where.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            begin = time.perf_counter()
            status, content = exchange(connection, message)
            samples.append(time.perf_counter() - begin)
            if status not in (200, 202):
                sys.exit(f"{method} {url}: {status} {content[:500]!r}")
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
