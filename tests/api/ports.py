"""Ports for the servers of the tests."""

import socket

HELD = []


def free_port():
    """A port of this machine for one server, now and after its restarts. It is bound and not listened on until this process ends:
    nobody else is given it, who connects is refused, and a server that sets SO_REUSEADDR may have it."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    HELD.append(held)
    return held.getsockname()[1]
