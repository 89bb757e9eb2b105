"""Calls home, over each kind of socket."""

import socket

failures = []
for family, address in (
    (socket.AF_INET, ("1.1.1.1", 80)),
    (socket.AF_INET, ("127.0.0.1", 22)),
    (socket.AF_INET6, ("::1", 80)),
    (socket.AF_UNIX, "\0abstract"),
):
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(2)
            sock.connect(address)
            answer = str(address)
    except OSError as error:
        failures.append(error)
if len(failures) == 4:
    raise failures[0]
