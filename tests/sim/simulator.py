#!/usr/bin/python3
"""Holds the simulated cluster and answers its commands over a unix socket. usage: simulator.py SOCKET

A request is a length (32 bits) and strings ended by NUL: command, working directory, user, SLURM_TIME_FORMAT,
arguments. The answer is three numbers of 32 bits (status, size of standard output, of standard error), then both outputs."""

import os
import pwd
import selectors
import signal
import socket
import struct
import sys
import time
import traceback

import commands
import state


class Request:
    def __init__(self, server, strings):
        self.server = server
        self.command, self.cwd, self.user, self.time_format = strings[:4]
        self.arguments = strings[4:]
        self.uid = pwd.getpwnam(self.user).pw_uid


class Connection:
    def __init__(self, sock):
        self.socket = sock
        self.received = b""
        self.to_send = b""
        self.steps = None  # the command's generator
        self.due = None  # when it goes on (monotonic), or "hold"


class Server:
    def __init__(self, path):
        self.cluster = state.Cluster(os.path.dirname(path))
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        os.chmod(path, 0o777)
        self.listener.listen(512)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.waiting = set()
        self.calls = {}  # how often each command was used
        self.unknown = []  # what the simulation has no answer to

    def held_count(self):
        return sum(connection.due == "hold" for connection in self.waiting)

    def release(self):
        for connection in self.waiting:
            if connection.due == "hold":
                connection.due = 0.0

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            self.selector.register(sock, selectors.EVENT_READ, Connection(sock))

    def close(self, connection):
        if connection.socket is not None:
            self.selector.unregister(connection.socket)
            connection.socket.close()
            connection.socket = None

    def read(self, connection):
        try:
            data = connection.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        connection.received += data
        if len(connection.received) >= 4 and connection.steps is None:
            size = struct.unpack("=I", connection.received[:4])[0]
            if len(connection.received) >= 4 + size:
                strings = connection.received[4:4 + size].decode("utf-8", "replace").split("\0")[:-1]
                self.begin(connection, strings)
        if not data:
            self.close(connection)  # whoever asked is gone; what was asked for goes on all the same

    def begin(self, connection, strings):
        request = Request(self, strings)
        self.calls[request.command] = self.calls.get(request.command, 0) + 1
        connection.strings = strings
        connection.steps = commands.COMMANDS[request.command](self.cluster, request)
        self.advance(connection)

    def advance(self, connection):
        self.waiting.discard(connection)
        try:
            wait = next(connection.steps)
        except StopIteration as stop:
            self.answer(connection, *stop.value)
            return
        except (commands.Usage, KeyError, ValueError, IndexError):
            text = " ".join([connection.strings[0]] + connection.strings[4:])
            self.unknown.append(text)
            sys.stderr.write(f"{text}\n{traceback.format_exc()}")
            self.answer(connection, 2, "", f"{connection.strings[0]}: not simulated: {text}\n")
            return
        connection.due = wait if wait == "hold" else time.monotonic() + wait
        self.waiting.add(connection)

    def answer(self, connection, status, out, err):
        if connection.socket is None:
            return
        out, err = out.encode(), err.encode()
        connection.to_send = struct.pack("=III", status, len(out), len(err)) + out + err
        self.write(connection)

    def write(self, connection):
        try:
            while connection.to_send:
                sent = connection.socket.send(connection.to_send[:1 << 20])
                connection.to_send = connection.to_send[sent:]
        except BlockingIOError:
            self.selector.modify(connection.socket, selectors.EVENT_WRITE, connection)
            return
        except OSError:
            pass
        self.close(connection)

    def advance_due(self):
        now = time.monotonic()
        for connection in list(self.waiting):
            if connection.due != "hold" and connection.due <= now:
                self.advance(connection)

    def delay(self):
        delays = [self.cluster.next_delay()]
        now = time.monotonic()
        delays += [max(0.0, c.due - now) for c in self.waiting if c.due != "hold"]
        return min((delay for delay in delays if delay is not None), default=None)

    def serve(self):
        while True:
            for key, mask in self.selector.select(self.delay()):
                if key.data is None:
                    self.accept()
                elif mask & selectors.EVENT_WRITE:
                    self.write(key.data)
                else:
                    self.read(key.data)
            self.cluster.run_due()
            self.advance_due()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Server(sys.argv[1]).serve()
