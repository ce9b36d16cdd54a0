"""HTTP/2, as little as it takes: one procedure a connection, headers that never change."""

import contextlib
import itertools
import select
import socket
import struct
import time

from .asks import BATCH, batches, is_batch_of_grants
from .server import Failed, Turn

CONNECTIONS, STREAMS = 32, 32
# Those that send batches, one at a time each. Sixteen thousand asks keep the log busy; more would be more than it takes in
# the time an ask may stay, and be told to come back. Whoever only loads sends fewer: a disk that writes hundreds of megabytes
# stands still now and then.
GATEWAYS, LOADERS = 16, 4
ANSWERED_WITHIN_S = 60


PREFACE = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
           # Settings: no push, windows of 16 MiB; then as much for the connection as there can be.
           b"\x00\x00\x0c\x04\x00\x00\x00\x00\x00" b"\x00\x02\x00\x00\x00\x00" b"\x00\x04\x01\x00\x00\x00"
           b"\x00\x00\x04\x08\x00\x00\x00\x00\x00" + struct.pack(">I", 2**31 - 1 - 65_535))
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
FRAME_MAX = 16_384


def frame(kind, flags, stream, payload):
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def literal(start, value):
    return start + bytes([len(value)]) + value


class Wire:
    """One connection. The first call's headers go into the peer's table, so that those of all others are indices."""

    OTHERS = b"\x83\x86\xc1\xc0\xbf\xbe"

    def __init__(self, address, procedure):
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.headers = (b"\x83\x86" + literal(b"\x44", b"/kuota.v1.RegistrationService/" + procedure)
                        + literal(b"\x41", b"localhost") + literal(b"\x5f", b"application/grpc")
                        + literal(literal(b"\x40", b"te"), b"trailers"))
        self.stream, self.unread, self.bodies, self.unsent, self.greetings = 1, b"", {}, PREFACE, set()
        # Within the time the server waits for the first bytes. A batch is longer than windows are before it said more:
        # its settings speak for streams, an update for the connection.
        self.flush()
        while self.greetings != {SETTINGS, WINDOW_UPDATE}:
            self.answers()
        self.flush()
        self.socket.setblocking(False)

    def call(self, message):
        """Queues a call."""
        stream, size = self.stream, len(message) + 5
        self.stream += 2
        parts = [self.unsent, frame(HEADERS, 4, stream, self.headers)]
        self.headers = self.OTHERS
        if size <= FRAME_MAX:
            parts.append(struct.pack(">IBIBI", size << 8 | DATA, 1, stream, 0, size - 5) + message)
        else:
            body = struct.pack(">BI", 0, size - 5) + message
            for at in range(0, size, FRAME_MAX):
                parts.append(frame(DATA, 1 if at + FRAME_MAX >= size else 0, stream, body[at:at + FRAME_MAX]))
        self.unsent = b"".join(parts)

    def flush(self):
        """Sends what the peer takes; whether that was all."""
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent):]
        except BlockingIOError:
            pass
        return not self.unsent

    def answers(self):
        """Bodies of the calls that have ended."""
        try:
            arrived = self.socket.recv(1 << 20)
        except BlockingIOError:
            return []
        if not arrived:
            raise Failed("the server closed a connection")
        data, at, ended = self.unread + arrived, 0, []
        while len(data) - at >= 9:
            head, flags, stream = struct.unpack_from(">IBI", data, at)
            kind, start, end = head & 255, at + 9, at + 9 + (head >> 8)
            if end > len(data):
                break
            if kind == DATA:
                self.bodies[stream] = self.bodies.get(stream, b"") + data[start:end]
            elif kind in (RESET, GOAWAY):
                raise Failed(f"the server ended a call or a connection: {data[start:end]!r}")
            if kind in (SETTINGS, WINDOW_UPDATE) and stream == 0:
                self.greetings.add(kind)
            if kind in (SETTINGS, PING) and not flags & 1:
                self.unsent += frame(kind, 1, 0, data[start:end] if kind == PING else b"")
            if kind in (DATA, HEADERS) and flags & 1:
                ended.append(self.bodies.pop(stream, b""))
            at = end
        self.unread = data[at:]
        return ended


class Crowd:
    """Connections that stay open, each with so many calls at once."""

    def __init__(self, server, connections, procedure=b"Register"):
        self.server, self.epoll, self.answered = server, select.epoll(), 0
        self.wires = {}
        for _ in range(connections):
            wire = Wire(server.address, procedure)
            self.wires[wire.socket.fileno()] = wire
            self.epoll.register(wire.socket, select.EPOLLIN)

    def drive(self, messages, is_right, streams=1):
        """Makes all those calls, so many at once on each connection. What it took, and who got an answer."""
        messages, under_way, calls, served = iter(messages), 0, 0, set()
        began, before_s = time.monotonic(), self.server.cpu_s()
        for wire in self.wires.values():
            for message in itertools.islice(messages, streams):
                wire.call(message)
                under_way += 1
            self.send(wire)
        last = began
        while under_way:
            events = self.epoll.poll(1)
            now = time.monotonic()
            if not events and now - last > ANSWERED_WITHIN_S:
                raise Failed(f"{under_way} calls without an answer")
            for descriptor, _ in events:
                wire, last = self.wires[descriptor], now
                bodies = wire.answers()
                for body in bodies:
                    if not is_right(body):
                        raise Failed(f"an answer is not of the kind that is measured: {body[:200]!r}")
                if bodies:
                    served.add(descriptor)
                    calls, under_way = calls + len(bodies), under_way - len(bodies)
                    for message in itertools.islice(messages, len(bodies)):
                        wire.call(message)
                        under_way += 1
                if wire.unsent:
                    self.send(wire)
        elapsed = time.monotonic() - began
        return {"calls": calls, "per_s": calls / elapsed, "served": len(served),
                "cpu_us": (self.server.cpu_s() - before_s) * 1e6 / max(calls, 1)}

    def send(self, wire):
        wants = select.EPOLLIN if wire.flush() else select.EPOLLIN | select.EPOLLOUT
        self.epoll.modify(wire.socket, wants)

    def tend(self):
        """Answers what the server asks of who is silent."""
        for descriptor, _ in self.epoll.poll(0):
            self.wires[descriptor].answers()
            self.send(self.wires[descriptor])

    def close(self):
        for wire in self.wires.values():
            wire.socket.close()
        self.epoll.close()


def throttle(server, messages, is_right, gateways=GATEWAYS):
    """Full throttle on connections of its own. Messages in a list are made before the clock runs."""
    is_batch = is_right is is_batch_of_grants
    connections, streams = (gateways, 1) if is_batch else (CONNECTIONS, STREAMS)
    crowd = Crowd(server, connections, b"RegisterBatch" if is_batch else b"Register")
    with contextlib.closing(crowd):
        return crowd.drive(messages, is_right, streams)


def load(server, count):
    """So many more live registrations, by batches."""
    Turn.take(8)
    throttle(server, batches(server.free, count // BATCH), is_batch_of_grants, LOADERS)
